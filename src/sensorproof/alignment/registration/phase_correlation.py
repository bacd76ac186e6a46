"""Phase correlation of gradients over a grid of tiles (Kuglin and Hines 1975).

The displacement (dy, dx) of a pair means: what the reference shows at (y, x), the sensor shows at (y + dy, x + dx).
A *sample* is a pixel of the registered images after subsampling by the grid's step.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.edges import Edges

Surface = NDArray[np.float32]
"""(n, h, w) correlation of n tiles at every displacement; zero displacement is at (h // 2, w // 2)."""
Spectra = NDArray[np.complex64]
"""(n, h, w) spectra of n tiles."""

_BAND = 0.2
"""Standard deviation of the Gaussian weight on the whitened spectrum, in cycles per sample."""
_WHITEN_FLOOR = 1e-4
"""Frequencies weaker than this share of the strongest one stay weak: they are rounding errors, not content."""
_SEARCH = 0.25
"""Largest displacement that is searched, as a share of the tile's side."""
_FULL_SAMPLING_PX = 192
"""Tiles with at least this side are sampled at every other pixel; displacements stay exact to a tenth of a pixel."""
_MIN_TILE = 24
"""Tiles with a shorter side contain too little."""


@dataclass(frozen=True)
class Grid:
    """n tiles of one size, spread evenly over an image; they may overlap. All lengths are in samples.

    `tops` and `lefts` have n entries. `step` is the number of pixels per sample.
    """

    image: tuple[int, int]
    tile: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    step: int

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(n, 2) y and x of the tiles' first samples."""
        return np.array([self.tops, self.lefts], np.int64).T

    @cached_property
    def centers(self) -> NDArray[np.float64]:
        """(n, 2) y and x of the tiles' centres, in samples from the image's centre."""
        return self.origins + (np.array(self.tile) - np.array(self.image)) / 2

    @property
    def reach(self) -> int:
        """Largest displacement that is searched, in samples."""
        return int(min(self.tile) * _SEARCH)


@lru_cache(maxsize=64)
def make_grid(height: int, width: int, tiles_per_side: int, largest_tile: int) -> Grid | None:
    """Divide an image into tiles with sides of half the image.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tiles_per_side: along each side of the image.
        largest_tile: upper limit of a tile's side, in pixels.

    Returns:
        The grid, or None if the image is too small.
    """
    step = 2 if min(height, width, 2 * largest_tile) >= 2 * _FULL_SAMPLING_PX else 1
    size = (height // step, width // step)
    tile = tuple(_fast_length(min(max(side // 2, min(side, _MIN_TILE)), largest_tile // step)) for side in size)
    if min(tile) < _MIN_TILE:
        return None
    tops = np.round(np.linspace(0, size[0] - tile[0], tiles_per_side)).astype(int)
    lefts = np.round(np.linspace(0, size[1] - tile[1], tiles_per_side)).astype(int)
    origins = [(int(y), int(x)) for y in tops for x in lefts]
    return Grid(size, (tile[0], tile[1]), tuple(p[0] for p in origins), tuple(p[1] for p in origins), step)


def _fast_length(side: int) -> int:
    """Return the largest even length up to `side` without a prime factor above 5."""
    for length in range(side - side % 2, 1, -2):
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
    return side


@lru_cache(maxsize=16)
def _hann_window(height: int, width: int) -> NDArray[np.float32]:
    """Return the Hann window (h, w, 2), the same for the real and the imaginary part."""
    hann = np.outer(np.hanning(height), np.hanning(width))
    return np.stack([hann, hann], -1).astype(np.float32)


@lru_cache(maxsize=16)
def _band_weight(height: int, width: int) -> NDArray[np.float32]:
    """Return a Gaussian weight (h, w) on frequencies with mean 1.

    It turns a correlation peak into a Gaussian, which a parabola in the logarithm fits exactly, and it suppresses the
    noise of the highest frequencies.
    """
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    weight = np.exp(-(fy**2 + fx**2) / (2 * _BAND**2))
    return (weight / weight.mean()).astype(np.float32)


@lru_cache(maxsize=16)
def centering_signs(height: int, width: int) -> NDArray[np.float32]:
    """Return signs (h, w) of frequencies that move (0, 0) to the middle (h // 2, w // 2); for even sides only."""
    signs = 1 - 2 * (np.add.outer(np.arange(height), np.arange(width)) % 2)
    return signs.astype(np.float32)


def sensor_spectra(edges: Edges, grid: Grid, moves: NDArray[np.int64] | None = None) -> Spectra:
    """Return whitened spectra (n, h, w) of a sensor's tiles; zero for tiles without edges.

    Args:
        edges: (H, W) of the sensor's image at the grid's size.
        grid: the tiles.
        moves: (n, 2) whole samples by which each tile is moved before it is cut; see `moves_inside`.
    """
    origins = grid.origins if moves is None else grid.origins + moves
    return _whitened_spectra(edges, grid, origins, np.ones(grid.tile, np.float32))


def reference_spectra(edges: Edges, grid: Grid) -> Spectra:
    """Return the spectra (n, h, w) of the reference's tiles that a sensor's spectra are multiplied with.

    They are conjugated and contain the weight of the band and the signs that move zero displacement to the middle of
    a surface.
    """
    spectra = _whitened_spectra(edges, grid, grid.origins, _band_weight(*grid.tile) * centering_signs(*grid.tile))
    return np.conjugate(spectra, out=spectra)


def _whitened_spectra(edges: Edges, grid: Grid, origins: NDArray[np.int64], weight: NDArray[np.float32]) -> Spectra:
    """Return spectra (n, h, w) whose frequencies have the magnitudes `weight` (h, w), except for rounding errors."""
    height, width = grid.tile
    spectra = np.empty((len(origins), height, width), np.complex64)
    parts = _real_pairs(edges)
    for spectrum, (y, x) in zip(spectra, origins.tolist(), strict=True):
        tile = cv2.multiply(parts[y : y + height, x : x + width], _hann_window(height, width))
        cv2.dft(tile, dst=_real_pairs(spectrum))
        size = np.abs(spectrum)
        size += _WHITEN_FLOOR * size.max() + np.float32(1e-20)
        spectrum *= np.divide(weight, size, out=size)
    return spectra


def _real_pairs(values: NDArray[np.complex64]) -> NDArray[np.float32]:
    """View the same memory (H, W) as real and imaginary parts (H, W, 2), which OpenCV expects."""
    return values.view(np.float32).reshape(*values.shape, 2)


def moves_inside(grid: Grid, displacement: tuple[float, float]) -> NDArray[np.int64]:
    """Return a displacement in whole samples per tile (n, 2), shortened for tiles that would leave the image."""
    whole = np.round(displacement).astype(int)
    last_origin = np.array(grid.image) - np.array(grid.tile)
    return np.clip(grid.origins + whole, 0, last_origin) - grid.origins


def correlate(reference: Spectra, sensor: Spectra) -> Surface:
    """Return the correlation surfaces (n, h, w) of two sets of spectra.

    A surface is 1 at the displacement of equal content and about 0 elsewhere.
    """
    surfaces = np.empty(sensor.shape, np.float32)
    for surface, reference_tile, sensor_tile in zip(surfaces, reference, sensor, strict=True):
        _inverse_transform(reference_tile * sensor_tile, surface)
    return surfaces


def mean_correlation(reference: Spectra, sensor: Spectra) -> Surface:
    """Return the mean over all tiles of their correlation surfaces (1, h, w), with a single transform."""
    total = np.zeros(sensor.shape[1:], np.complex64)
    for reference_tile, sensor_tile in zip(reference, sensor, strict=True):
        total += reference_tile * sensor_tile
    surface = np.empty((1, *total.shape), np.float32)
    _inverse_transform(total, surface[0])
    return surface / np.float32(len(sensor))


def _inverse_transform(cross: NDArray[np.complex64], surface: NDArray[np.float32]) -> None:
    """Fill a surface (h, w) with the real part of the inverse transform of `cross` (h, w)."""
    cv2.extractChannel(cv2.idft(_real_pairs(cross), flags=cv2.DFT_SCALE), 0, dst=surface)


def windows_around(surface: Surface, places: NDArray[np.int64], half: int) -> Surface:
    """Cut windows (n, m, m) from surfaces (n, h, w): `half` samples to each side of displacements (n, 2)."""
    height, width = surface.shape[1:]
    offsets = np.arange(-half, half + 1)
    y = (places[:, :1] + offsets + height // 2) % height
    x = (places[:, 1:] + offsets + width // 2) % width
    return surface[np.arange(len(surface))[:, None, None], y[:, :, None], x[:, None]]


def center_window(surface: Surface, half: int) -> Surface:
    """Cut the middle (n, m, m) of surfaces (n, h, w): `half` samples to each side of zero displacement."""
    y, x = surface.shape[1] // 2, surface.shape[2] // 2
    return surface[:, y - half : y + half + 1, x - half : x + half + 1]
