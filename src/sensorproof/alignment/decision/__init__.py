"""Decide from measures: rules, faults of frames, the verdict on a batch."""
