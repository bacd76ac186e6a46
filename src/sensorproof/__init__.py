"""Train multi-sensor segmentation models that keep working when a sensor fails, and prove it."""

__version__ = "0.1.0"
