"""One frame as the registration sees it: views and spectra of its images, each computed once."""

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.content import Grid, Spectra, View, make_grid, make_view, spectra
from sensorproof.alignment.health import gray
from sensorproof.alignment.labels import LABEL, label_edges
from sensorproof.data.batch import Batch
from sensorproof.settings import ContentChecks

Image = NDArray[np.float32]


class Seen:
    """Views of one frame's images. The label takes part as one more image: 1 at the edges of its classes."""

    def __init__(
        self, batch: Batch, images: dict[str, Image], label: NDArray[np.uint8] | None, settings: ContentChecks
    ) -> None:
        self.reference = batch.info.reference
        self.settings = settings
        self.flat = {name: gray(image) for name, image in images.items()}
        if label is not None:
            edge = label_edges(label, batch.info.ignore_index)
            self.flat[LABEL] = (edge, np.ones(edge.shape, bool))
        self.views: dict[tuple[str, tuple[int, int]], View] = {}
        self.spectra: dict[tuple[str, Grid], Spectra] = {}

    def grid(self, sensor: str) -> Grid | None:
        """The tiles of a pair, over the coarser of its two images; None where either is absent or too small."""
        if sensor not in self.flat or self.reference not in self.flat:
            return None
        own, other = self.flat[sensor][0].shape, self.flat[self.reference][0].shape
        height, width = min(own[0], other[0]), min(own[1], other[1])
        return make_grid(height, width, self.settings.grid, self.settings.tile)

    def view(self, sensor: str, grid: Grid) -> View:
        """A sensor's edges at the grid's size."""
        key = (sensor, grid.image)
        if key not in self.views:
            image, valid = self.flat[sensor]
            self.views[key] = make_view(image, valid, grid.image)
        return self.views[key]

    def spectra_of(self, sensor: str, grid: Grid) -> Spectra:
        """A sensor's whitened tile spectra."""
        key = (sensor, grid)
        if key not in self.spectra:
            self.spectra[key] = spectra(self.view(sensor, grid), grid)
        return self.spectra[key]

    def pixels_per_sample(self, grid: Grid) -> float:
        """Pixels of the reference's image for one pixel of the registered image."""
        return float(self.flat[self.reference][0].shape[0] / (grid.image[0] * grid.step))
