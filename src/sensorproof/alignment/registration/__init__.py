"""Register the images of two sensors: features, phase correlation, displacement fields."""
