"""Register the images of two sensors: edges, phase correlation of tiles, displacement fields.

The way through it: `edges` -> `phase_correlation` (spectra and correlation surfaces of tiles) -> `peaks` and
`hough_vote` (shift, scale and rotation) -> `displacement_field`. `tile_registration` puts them together.
"""
