"""The features of one frame that registration compares: edges and spectra of its images, each computed once."""

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.images import Image
from sensorproof.alignment.registration.edges import Edges, edges_of, gray_image, gray_label
from sensorproof.alignment.registration.phase_correlation import (
    Grid,
    Spectra,
    make_grid,
    reference_spectra,
    sensor_spectra,
)
from sensorproof.data.batch import BatchInfo
from sensorproof.data.frame_table import LABEL
from sensorproof.settings import ContentChecks


class FrameFeatures:
    """Edges and spectra of one frame's images, computed when they are first needed.

    Args:
        info: what batch.yaml says of the sensors.
        images: {sensor: (C, H, W)}, NaN where invalid.
        label: (H, W), registered like one more sensor; None for a frame without label.
        settings: grid and tiles.
    """

    def __init__(
        self,
        info: BatchInfo,
        images: dict[str, Image],
        label: NDArray[np.integer] | None,
        settings: ContentChecks,
    ) -> None:
        self.reference = info.reference
        self.grays = {name: gray_image(image, info.sensors[name]) for name, image in images.items()}
        if label is not None:
            self.grays[LABEL] = gray_label(label, info.ignore_index)
        self._settings = settings
        self._edges: dict[tuple[str, tuple[int, int]], Edges] = {}
        self._spectra: dict[tuple[str, Grid], Spectra] = {}

    def grid(self, sensor: str) -> Grid | None:
        """Return the tiles of a pair over the coarser of its two images; None if either is absent or too small."""
        if sensor not in self.grays or self.reference not in self.grays:
            return None
        own, reference = self.grays[sensor].values.shape, self.grays[self.reference].values.shape
        height, width = min(own[0], reference[0]), min(own[1], reference[1])
        return make_grid(height, width, self._settings.grid, self._settings.tile)

    def edges_of(self, sensor: str, grid: Grid) -> Edges:
        """Return a sensor's edges (H, W) at the grid's size."""
        key = (sensor, grid.image)
        if key not in self._edges:
            self._edges[key] = edges_of(self.grays[sensor], grid.image)
        return self._edges[key]

    def spectra_of(self, sensor: str, grid: Grid) -> Spectra:
        """Return the whitened spectra (n, h, w) of a sensor's tiles, or of the reference's to multiply them with."""
        key = (sensor, grid)
        if key not in self._spectra:
            prepare = reference_spectra if sensor == self.reference else sensor_spectra
            self._spectra[key] = prepare(self.edges_of(sensor, grid), grid)
        return self._spectra[key]

    def pixels_per_sample(self, grid: Grid) -> float:
        """Return the pixels of the reference's image for one pixel of the registered image."""
        return float(self.grays[self.reference].values.shape[0] / (grid.image[0] * grid.step))
