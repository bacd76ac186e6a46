"""Content registration: gradient phase correlation over a grid of tiles.

Phase correlation: Kuglin and Hines 1975. Displacement (dy, dx) of a pair means that what the reference shows at
(y, x) the sensor shows at (y + dy, x + dx).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.edges import Edges

Surface = NDArray[np.float32]
Spectra = NDArray[np.complex64]

_BAND = 0.2
"""Standard deviation of the Gaussian weight on the whitened spectrum, cycles a sample."""
_WHITEN_FLOOR = 1e-4
"""Frequencies weaker than this share of the strongest are left weak: they are rounding, not content."""
SEARCH = 0.25
"""Largest displacement looked for, as a share of the tile's side."""
_FULL_SAMPLING_PX = 192
"""Tiles with at least this side are sampled at every other pixel: displacements stay exact to a tenth of one."""
_MIN_TILE = 24
"""Tiles with a shorter side hold too little."""


@dataclass(frozen=True)
class Grid:
    """Tiles of one size, spread evenly over an image, that may overlap. `tops` and `lefts` have n * n entries.

    All in samples; `step` is the pixels a sample stands for.
    """

    image: tuple[int, int]
    tile: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    step: int

    @cached_property
    def corners(self) -> NDArray[np.int64]:
        """(n, 2) y and x of the tiles' first samples."""
        return np.array([self.tops, self.lefts], np.int64).T

    @cached_property
    def centers(self) -> NDArray[np.float64]:
        """(n, 2) y and x of the tiles' centres, samples from the image's centre."""
        return self.corners + (np.array(self.tile) - np.array(self.image)) / 2

    @property
    def reach(self) -> int:
        """Largest displacement looked for, samples."""
        return int(min(self.tile) * SEARCH)


@lru_cache(maxsize=64)
def make_grid(height: int, width: int, n: int, longest: int) -> Grid | None:
    """n x n tiles with sides of half the image, or `longest` pixels; None where the image is too small."""
    step = 2 if min(height, width, 2 * longest) >= 2 * _FULL_SAMPLING_PX else 1
    size = (height // step, width // step)
    tile = tuple(_fast_length(min(max(side // 2, min(side, _MIN_TILE)), longest // step)) for side in size)
    if min(tile) < _MIN_TILE:
        return None
    tops = np.round(np.linspace(0, size[0] - tile[0], n)).astype(int)
    lefts = np.round(np.linspace(0, size[1] - tile[1], n)).astype(int)
    pairs = [(int(y), int(x)) for y in tops for x in lefts]
    return Grid(size, (tile[0], tile[1]), tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), step)


def _fast_length(side: int) -> int:
    """The largest even length up to side with no prime factor above 5."""
    for length in range(side - side % 2, 1, -2):
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
    return side


@lru_cache(maxsize=16)
def window(height: int, width: int) -> NDArray[np.float32]:
    """Hann window (h, w, 2), the same for the real and the imaginary part."""
    hann = np.outer(np.hanning(height), np.hanning(width))
    return np.stack([hann, hann], -1).astype(np.float32)


@lru_cache(maxsize=16)
def band(height: int, width: int) -> NDArray[np.float32]:
    """Gaussian weight (h, w) on frequencies, with mean 1: the peak of a correlation becomes a Gaussian that a
    parabola in its logarithm fits exactly, and the noise of the highest frequencies is left out."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    weight = np.exp(-(fy**2 + fx**2) / (2 * _BAND**2))
    return (weight / weight.mean()).astype(np.float32)


@lru_cache(maxsize=16)
def centering(height: int, width: int) -> NDArray[np.float32]:
    """Signs (h, w) of frequencies that move what lies at (0, 0) to the middle (h // 2, w // 2); even sides only."""
    signs = 1 - 2 * (np.add.outer(np.arange(height), np.arange(width)) % 2)
    return signs.astype(np.float32)


def spectra(edges: Edges, grid: Grid, moves: NDArray[np.int64] | None = None) -> Spectra:
    """Whitened spectra (n, h, w) of the tiles of a sensor's image; zero for tiles with nothing to see.

    Args:
        edges: (H, W), see alignment.edges, at the grid's size.
        moves: (n, 2) whole samples by which each tile is moved before it is cut; see `moves_inside`.
    """
    corners = grid.corners if moves is None else grid.corners + moves
    return whitened(edges, grid, corners, np.ones(grid.tile, np.float32))


def templates(edges: Edges, grid: Grid) -> Spectra:
    """What spectra of a sensor are multiplied with to compare them with the reference's `edges`: (n, h, w).

    Conjugated, with the band's weight, and so that zero displacement comes to lie in the middle of a surface.
    """
    found = whitened(edges, grid, grid.corners, band(*grid.tile) * centering(*grid.tile))
    return np.conjugate(found, out=found)


def whitened(edges: Edges, grid: Grid, corners: NDArray[np.int64], weight: NDArray[np.float32]) -> Spectra:
    """Spectra (n, h, w) of tiles whose frequencies all have their `weight` (h, w), but for those that are rounding."""
    height, width = grid.tile
    found = np.empty((len(corners), height, width), np.complex64)
    parts = _real_pairs(edges)
    for spectrum, (y, x) in zip(found, corners.tolist(), strict=True):
        cut = cv2.multiply(parts[y : y + height, x : x + width], window(height, width))
        cv2.dft(cut, dst=_real_pairs(spectrum))
        size = np.abs(spectrum)
        size += _WHITEN_FLOOR * size.max() + np.float32(1e-20)
        spectrum *= np.divide(weight, size, out=size)
    return found


def _real_pairs(values: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The same memory (H, W) as real and imaginary parts (H, W, 2), as OpenCV takes them."""
    return values.view(np.float32).reshape(*values.shape, 2)


def moves_inside(grid: Grid, displacement: tuple[float, float]) -> NDArray[np.int64]:
    """(n, 2) a displacement in whole samples, shortened where a tile would leave the image."""
    wanted = np.round(displacement).astype(int)
    room = np.array(grid.image) - np.array(grid.tile)
    return np.clip(grid.corners + wanted, 0, room) - grid.corners


def surfaces(reference: Spectra, sensor: Spectra) -> Surface:
    """Correlation surfaces (n, h, w) of templates and spectra; zero displacement lies in the middle.

    1 at the displacement of equal content, about 0 elsewhere.
    """
    found = np.empty(sensor.shape, np.float32)
    for surface, one, other in zip(found, reference, sensor, strict=True):
        transform(one * other, surface)
    return found


def mean_surface(reference: Spectra, sensor: Spectra) -> Surface:
    """The mean over all tiles of their correlation surfaces (1, h, w), with one transform."""
    total = np.zeros(sensor.shape[1:], np.complex64)
    for one, other in zip(reference, sensor, strict=True):
        total += one * other
    found = np.empty((1, *total.shape), np.float32)
    transform(total, found[0])
    return found / np.float32(len(sensor))


def transform(cross: NDArray[np.complex64], surface: Surface) -> None:
    """Fill a surface (h, w) with the real part of what has the spectrum `cross` (h, w)."""
    cv2.extractChannel(cv2.idft(_real_pairs(cross), flags=cv2.DFT_SCALE), 0, dst=surface)


def around(surface: Surface, places: NDArray[np.int64], half: int) -> Surface:
    """(n, m, m) of surfaces (n, h, w): `half` samples to each side of displacements (n, 2)."""
    height, width = surface.shape[1:]
    offsets = np.arange(-half, half + 1)
    y = (places[:, :1] + offsets + height // 2) % height
    x = (places[:, 1:] + offsets + width // 2) % width
    return surface[np.arange(len(surface))[:, None, None], y[:, :, None], x[:, None]]


def inner(surface: Surface, half: int) -> Surface:
    """The middle (n, m, m) of surfaces (n, h, w): `half` samples to each side of zero displacement."""
    y, x = surface.shape[1] // 2, surface.shape[2] // 2
    return surface[:, y - half : y + half + 1, x - half : x + half + 1]
