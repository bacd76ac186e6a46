"""Content registration: gradient phase correlation over a grid of tiles, all tiles in one batched transform.

Phase correlation: Kuglin and Hines 1975. Displacement (dy, dx) of a pair means that what the reference shows at
(y, x) the sensor shows at (y + dy, x + dx).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Image = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Mask = NDArray[np.bool_]

SMOOTHING_PX = 0.8
"""Standard deviation of the Gaussian before the gradient; below it pixels are noise, not edges."""
BAND = 0.2
"""Standard deviation of the Gaussian weight on the whitened spectrum, cycles a pixel."""
WHITEN_FLOOR = 1e-4
"""Frequencies weaker than this share of the strongest are left weak: they are rounding, not content."""
MIN_VALID = 0.5
"""Share of valid pixels a tile needs."""
SEARCH = 0.25
"""Largest displacement looked for, as a share of the tile's side."""
FULL_SAMPLING_PX = 192
"""Tiles with at least this side are sampled at every other pixel: displacements stay exact to a tenth of one."""
MIN_TILE = 24
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
def band_mean(height: int, width: int) -> float:
    """The value at zero displacement of the inverse transform of the band weight."""
    return float(scipy.fft.irfft2(band(height, width), (height, width))[0, 0])


@dataclass(frozen=True)
class View:
    """An image as the registration sees it: edges (H, W) and where they are known, in samples of the grid."""

    edges: Image
    valid: Mask


def make_view(image: Image, valid: Mask, size: tuple[int, int]) -> View:
    """Bring an image (H, W) to a size and take its edges."""
    height, width = size
    if image.shape != size:
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=method)
        if valid.all():
            valid = np.ones(size, bool)
        else:
            valid = cv2.resize(valid.astype(np.float32), (width, height), interpolation=method) > 0.99
    return View(edges(image, valid), valid)


def edges(image: Image, valid: Mask) -> Image:
    """(H, W) gradient magnitude, square-rooted so that one strong edge does not rule; 0 at invalid pixels."""
    if not valid.all():
        # The gradient at the border of a hole is the hole's, not the scene's.
        filled = np.where(valid, image, image[valid].mean() if valid.any() else 0).astype(np.float32)
    else:
        filled = image
    smooth = cv2.GaussianBlur(filled, (0, 0), SMOOTHING_PX, borderType=cv2.BORDER_REFLECT)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REFLECT)
    magnitude = cv2.sqrt(cv2.magnitude(dx, dy))
    if not valid.all():
        magnitude[cv2.dilate((~valid).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0] = 0
    return magnitude


@lru_cache(maxsize=16)
def window(height: int, width: int) -> Image:
    """Hann window (h, w)."""
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


@lru_cache(maxsize=16)
def band(height: int, width: int) -> Image:
    """Gaussian weight (h, w // 2 + 1) on frequencies: the correlation peak becomes a Gaussian that a parabola in
    its logarithm fits exactly, and the noise of the highest frequencies is left out."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.exp(-(fy**2 + fx**2) / (2 * BAND**2)).astype(np.float32)


def spectra(view: View, grid: Grid, moves: NDArray[np.int64] | None = None) -> Spectra:
    """Whitened spectra (n, h, w // 2 + 1) of the tiles of one image; zero for tiles with nothing to see.

    Args:
        moves: (n, 2) whole samples by which each tile is moved before it is cut; see `moves_inside`.
    """
    height, width = grid.tile
    corners = np.stack([grid.tops, grid.lefts], 1) + (0 if moves is None else moves)
    cut = np.stack([view.edges[y : y + height, x : x + width] for y, x in corners])
    if not view.valid.all():
        for tile, (y, x) in zip(cut, corners, strict=True):
            fill_holes(tile, view.valid[y : y + height, x : x + width])
    cut -= cut.mean((1, 2), keepdims=True)
    cut *= window(height, width)
    spectrum: Spectra = scipy.fft.rfft2(cut, overwrite_x=True)
    size = np.abs(spectrum)
    spectrum /= size + (WHITEN_FLOOR * size.max((1, 2), keepdims=True) + 1e-20)
    return spectrum


def fill_holes(tile: Image, valid: Mask) -> None:
    """Give a tile's holes its mean, so that their outline does not correlate; blank a tile that is mostly holes."""
    known = tile[valid & (tile > 0)]
    if valid.mean() < MIN_VALID or not len(known):
        tile[:] = 0
    else:
        tile[tile == 0] = known.mean()


def moves_inside(grid: Grid, displacement: tuple[float, float]) -> NDArray[np.int64]:
    """(n, 2) a displacement in whole samples, shortened where a tile would leave the image."""
    wanted = np.round(displacement).astype(int)
    corners = np.stack([grid.tops, grid.lefts], 1)
    room = np.array(grid.image) - np.array(grid.tile)
    return np.clip(corners + wanted, 0, room) - corners


def surfaces(reference: Spectra, sensor: Spectra, tile: tuple[int, int]) -> Image:
    """Correlation surfaces (n, h, w) of tiles; 1 at the displacement of equal content, about 0 elsewhere."""
    weight = band(*tile)
    cross = np.conj(reference)
    cross *= sensor
    cross *= weight
    return scipy.fft.irfft2(cross, tile) / band_mean(*tile)


def mean_surface(reference: Spectra, sensor: Spectra, tile: tuple[int, int]) -> Image:
    """The mean over all tiles of their correlation surfaces (h, w), with one transform."""
    cross = np.einsum("nij,nij->ij", np.conj(reference), sensor) / len(reference)
    return scipy.fft.irfft2(cross * band(*tile), tile) / band_mean(*tile)


@dataclass(frozen=True)
class Peaks:
    """The highest points of surfaces: displacement (n, 2) y, x in samples, height (n,), reliability (n,)."""

    displacement: NDArray[np.float64]
    height: NDArray[np.float64]
    reliability: NDArray[np.float64]


def find_peaks(surface: Image, center: tuple[int, int], reach: int) -> Peaks:
    """Find the highest point of each surface (n, h, w) within `reach` samples of center.

    The position between samples comes from a parabola through the logarithm of the peak and its neighbours, which
    is exact for the Gaussian that the band weight makes of it. Reliability is Scheffler et al. 2017 (AROSICS):
    100 - (mean + 2 standard deviations of the surface off the peak) / peak * 100, never below 0.
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
    return Peaks(position, peak, reliability(surface, peak, near, y, x))


def parabola(before: NDArray, peak: NDArray, after: NDArray) -> NDArray[np.float64]:
    """Offset in [-0.5, 0.5] of a Gaussian's top from three samples of it; 0 where they are no Gaussian."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = (np.log(v.astype(np.float64)) for v in (before, peak, after))
        offset = 0.5 * (a - c) / (a - 2 * b + c)
    return np.where(np.isfinite(offset), np.clip(offset, -0.5, 0.5), 0.0)


def reliability(surface: Image, peak: NDArray[np.float64], near: Image, y: NDArray, x: NDArray) -> NDArray[np.float64]:
    """(n,) reliability of peaks at near[y, x]; the 3 x 3 around a peak is left out of the statistics."""
    cells = surface[0].size - 9
    total = surface.sum((1, 2), dtype=np.float64)
    squares = np.einsum("nij,nij->n", surface, surface).astype(np.float64)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            value = near[np.arange(len(y)), y + i, x + j].astype(np.float64)
            total -= value
            squares -= value**2
    mean = total / cells
    spread = np.sqrt(np.maximum(squares / cells - mean**2, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        score = 100 - (mean + 2 * spread) / peak * 100
    return np.where(peak > 0, np.clip(score, 0, 100), 0.0)
