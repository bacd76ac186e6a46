"""Did the sensors of a batch see the same thing, at the same time, from the place they claim?"""
