"""A model as others use it: raw sensor arrays in, label maps out, whichever sensors are there."""
