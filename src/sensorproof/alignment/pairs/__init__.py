"""Follow a pair of sensors through a batch: the bias of the rig, the deviation of each frame, swapped frames."""
