"""Follow a pair of sensors through a batch: the rig's bias, each frame's deviation, swapped frames."""
