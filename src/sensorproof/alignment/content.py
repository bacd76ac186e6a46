"""Content registration: gradient phase correlation over a grid of tiles, all tiles in one batched transform.

Phase correlation: Kuglin and Hines 1975. Displacement (dy, dx) of a pair means that what the reference shows at
(y, x) the sensor shows at (y + dy, x + dx).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sensorproof.alignment.edges import Edges

Surface = NDArray[np.float32]
Spectra = NDArray[np.complex64]

BAND = 0.2
"""Standard deviation of the Gaussian weight on the whitened spectrum, cycles a sample."""
WHITEN_FLOOR = 1e-4
"""Frequencies weaker than this share of the strongest are left weak: they are rounding, not content."""
SEARCH = 0.25
"""Largest displacement looked for, as a share of the tile's side."""
FULL_SAMPLING_PX = 192
"""Tiles with at least this side are sampled at every other pixel: displacements stay exact to a tenth of one."""
MIN_TILE = 24
"""Tiles with a shorter side hold too little."""
RIVAL = 3
"""A peak's rivals are further from it than this many samples."""


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

    @property
    def centers(self) -> NDArray[np.float64]:
        """(n, 2) y and x of the tiles' centres, samples from the image's centre."""
        y = np.array(self.tops) + (self.tile[0] - self.image[0]) / 2
        x = np.array(self.lefts) + (self.tile[1] - self.image[1]) / 2
        return np.stack([y, x], 1)

    @property
    def reach(self) -> int:
        """Largest displacement looked for, samples."""
        return int(min(self.tile) * SEARCH)


@lru_cache(maxsize=64)
def make_grid(height: int, width: int, n: int, longest: int) -> Grid | None:
    """n x n tiles with sides of half the image, or `longest` pixels; None where the image is too small."""
    step = 2 if min(height, width, 2 * longest) >= 2 * FULL_SAMPLING_PX else 1
    size = (height // step, width // step)
    tile = tuple(fast_length(min(max(side // 2, min(side, MIN_TILE)), longest // step)) for side in size)
    if min(tile) < MIN_TILE:
        return None
    tops = np.round(np.linspace(0, size[0] - tile[0], n)).astype(int)
    lefts = np.round(np.linspace(0, size[1] - tile[1], n)).astype(int)
    pairs = [(int(y), int(x)) for y in tops for x in lefts]
    return Grid(size, (tile[0], tile[1]), tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), step)


def fast_length(side: int) -> int:
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
def window(height: int, width: int) -> Surface:
    """Hann window (h, w)."""
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


@lru_cache(maxsize=16)
def band(height: int, width: int) -> Surface:
    """Gaussian weight (h, w) on frequencies, with mean 1: the peak of a correlation becomes a Gaussian that a
    parabola in its logarithm fits exactly, and the noise of the highest frequencies is left out."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    weight = np.exp(-(fy**2 + fx**2) / (2 * BAND**2))
    return (weight / weight.mean()).astype(np.float32)


def spectra(edges: Edges, grid: Grid, moves: NDArray[np.int64] | None = None) -> Spectra:
    """Whitened spectra (n, h, w) of the tiles of one image; zero for tiles with nothing to see.

    Args:
        edges: (H, W), see alignment.edges, at the grid's size.
        moves: (n, 2) whole samples by which each tile is moved before it is cut; see `moves_inside`.
    """
    height, width = grid.tile
    corners = np.stack([grid.tops, grid.lefts], 1) + (0 if moves is None else moves)
    cut = np.stack([edges[y : y + height, x : x + width] for y, x in corners])
    cut *= window(height, width)
    return whiten(scipy.fft.fft2(cut, overwrite_x=True))


def whiten(spectrum: Spectra) -> Spectra:
    """Give all frequencies of spectra (n, h, w) the same weight, in place, but for those that are mere rounding."""
    size = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    size += WHITEN_FLOOR * size.max((1, 2), keepdims=True) + 1e-20
    spectrum *= np.reciprocal(size, out=size)
    return spectrum


def moves_inside(grid: Grid, displacement: tuple[float, float]) -> NDArray[np.int64]:
    """(n, 2) a displacement in whole samples, shortened where a tile would leave the image."""
    wanted = np.round(displacement).astype(int)
    corners = np.stack([grid.tops, grid.lefts], 1)
    room = np.array(grid.image) - np.array(grid.tile)
    return np.clip(corners + wanted, 0, room) - corners


def surfaces(reference: Spectra, sensor: Spectra, tile: tuple[int, int]) -> Surface:
    """Correlation surfaces (n, h, w) of tiles; 1 at the displacement of equal content, about 0 elsewhere."""
    cross = np.conj(reference)
    cross *= sensor
    cross *= band(*tile)
    return np.ascontiguousarray(scipy.fft.ifft2(cross, overwrite_x=True).real)


def mean_surface(reference: Spectra, sensor: Spectra, tile: tuple[int, int]) -> Surface:
    """The mean over all tiles of their correlation surfaces (h, w), with one transform."""
    cross = np.einsum("nij,nij->ij", np.conj(reference), sensor)
    cross *= band(*tile) / np.float32(len(reference))
    return np.ascontiguousarray(scipy.fft.ifft2(cross, overwrite_x=True).real)


@dataclass(frozen=True)
class Peaks:
    """The highest points of surfaces: displacement (n, 2) y, x in samples, height (n,), reliability (n,)."""

    displacement: NDArray[np.float64]
    height: NDArray[np.float64]
    reliability: NDArray[np.float64]


def find_peaks(surface: Surface, center: tuple[int, int], reach: int, rival: int = RIVAL) -> Peaks:
    """Find the highest point of each surface (n, h, w) within `reach` samples of center.

    The position between samples comes from a parabola through the logarithm of the peak and its neighbours, which
    is exact for the Gaussian that the band weight makes of it. Reliability is 100 - rival / peak * 100, where the
    rival is the highest point within reach and further than `rival` samples from the peak; never below 0. (AROSICS
    takes the surface's mean and two standard deviations for the rival: the best of many chance points passes that.)
    """
    n, height, width = surface.shape
    side = 2 * reach + 3
    rows = np.arange(center[0] - reach - 1, center[0] + reach + 2) % height
    columns = np.arange(center[1] - reach - 1, center[1] + reach + 2) % width
    near = surface[:, rows[:, None], columns]
    best = near[:, 1:-1, 1:-1].reshape(n, -1).argmax(1)
    y, x = np.unravel_index(best, (side - 2, side - 2))
    k = np.arange(n)
    y, x = y + 1, x + 1
    peak = near[k, y, x].astype(np.float64)
    dy = parabola(near[k, y - 1, x], peak, near[k, y + 1, x])
    dx = parabola(near[k, y, x - 1], peak, near[k, y, x + 1])
    position = np.stack([y + dy + center[0] - reach - 1, x + dx + center[1] - reach - 1], 1)
    return Peaks(position, peak, reliability(near[:, 1:-1, 1:-1], peak, y - 1, x - 1, rival))


def parabola(before: NDArray, peak: NDArray, after: NDArray) -> NDArray[np.float64]:
    """Offset in [-0.5, 0.5] of a Gaussian's top from three samples of it; 0 where they are no Gaussian."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = (np.log(v.astype(np.float64)) for v in (before, peak, after))
        offset = 0.5 * (a - c) / (a - 2 * b + c)
    return np.where(np.isfinite(offset), np.clip(offset, -0.5, 0.5), 0.0)


def reliability(near: Surface, peak: NDArray[np.float64], y: NDArray, x: NDArray, apart: int) -> NDArray[np.float64]:
    """(n,) reliability of the peaks at near[k, y, x], whose rivals are more than `apart` samples away."""
    side = np.arange(near.shape[1])
    own = (np.abs(side[None] - y[:, None]) <= apart)[:, :, None] & (np.abs(side[None] - x[:, None]) <= apart)[:, None]
    rival = np.where(own, -np.inf, near).max((1, 2), initial=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = 100 - rival / peak * 100
    return np.where(peak > 0, np.clip(score, 0, 100), 0.0)
