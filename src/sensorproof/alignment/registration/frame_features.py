"""One frame as the registration sees it: edges and spectra of its images, each computed once."""

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.edges import Edges, Image, edges_of, picture_of, picture_of_label
from sensorproof.alignment.registration.phase_correlation import Grid, Spectra, make_grid, spectra, templates
from sensorproof.data.batch import LABEL, BatchInfo
from sensorproof.settings import ContentChecks


class FrameFeatures:
    """The images of one frame, {sensor: (C, H, W)}; the label (H, W) takes part as one more image."""

    def __init__(
        self,
        info: BatchInfo,
        images: dict[str, Image],
        label: NDArray[np.integer] | None,
        settings: ContentChecks,
    ) -> None:
        self.reference = info.reference
        self.settings = settings
        self.pictures = {name: picture_of(image, info.sensors[name]) for name, image in images.items()}
        if label is not None:
            self.pictures[LABEL] = picture_of_label(label, info.ignore_index)
        self.edges: dict[tuple[str, tuple[int, int]], Edges] = {}
        self.spectra: dict[tuple[str, Grid], Spectra] = {}

    def grid(self, sensor: str) -> Grid | None:
        """The tiles of a pair, over the coarser of its two images; None where either is absent or too small."""
        if sensor not in self.pictures or self.reference not in self.pictures:
            return None
        own, other = self.pictures[sensor].values.shape, self.pictures[self.reference].values.shape
        height, width = min(own[0], other[0]), min(own[1], other[1])
        return make_grid(height, width, self.settings.grid, self.settings.tile)

    def edges_of(self, sensor: str, grid: Grid) -> Edges:
        """A sensor's edges at the grid's size."""
        key = (sensor, grid.image)
        if key not in self.edges:
            self.edges[key] = edges_of(self.pictures[sensor], grid.image)
        return self.edges[key]

    def spectra_of(self, sensor: str, grid: Grid) -> Spectra:
        """A sensor's whitened tile spectra; of the reference, the templates that they are compared with."""
        key = (sensor, grid)
        if key not in self.spectra:
            prepare = templates if sensor == self.reference else spectra
            self.spectra[key] = prepare(self.edges_of(sensor, grid), grid)
        return self.spectra[key]

    def pixels_per_sample(self, grid: Grid) -> float:
        """Pixels of the reference's image for one pixel of the registered image."""
        return float(self.pictures[self.reference].values.shape[0] / (grid.image[0] * grid.step))
