"""The training loop, the same for every arm, and its checkpoints."""
