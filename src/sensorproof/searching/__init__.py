"""The search for settings, on validation data alone: the space, the trials, the limits, the choice."""
