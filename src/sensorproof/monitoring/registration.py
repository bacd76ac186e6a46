"""Do two sensors show the same scene, pixel for pixel? Edges and the model's own predictions from each, correlated.

Each image becomes a spectrum once; a pair costs one product. What is returned for a pair is the height of the
correlation at no displacement, in standard deviations over all displacements: about 1 for images of different scenes,
and up to 20 for images of one scene. So it needs no unit and no threshold of its own.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sensorproof.monitoring.image_statistics import Gray

Spectra = NDArray[np.complex64]
"""(B, K, H, W): of K maps of each of B images."""
_DISTANCE_KINDS = ("depth", "lidar", "radar")
"""Kinds of sensors whose pixels are distances; their edges are those of nearness."""
_NEAREST = 1e-3
"""Distances are at least this share of the range."""
_LARGEST_GAP = 1 / 24
"""Gaps between measured distances are closed up to this share of the image's height."""
_MAX_SIDE = 96
"""Edges are looked for in images whose longer side is at most this."""
_MAX_MAP_SIDE = 32
"""The same for maps of predictions."""
_BAND = 0.2
"""Standard deviation of the Gaussian weight on the spectra of edges, in cycles per pixel."""
_LEAST_LOG = np.float32(np.log(1e-3))
_WORKERS = -1
"""Every core transforms some of the images."""
_TOLERANCE = np.array([-1, 0, 1])
"""Displacements in pixels that count as none."""


@dataclass(frozen=True)
class Peak:
    """Where two sensors match best: displacement (rows, columns) as shares of the image's size, and its height."""

    displacement: tuple[float, float]
    height: float


@lru_cache(maxsize=16)
def _weights(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Spectra, Spectra]:
    """Return window, band, and the factors by which a spectrum is evaluated at the displacements of `_TOLERANCE`."""
    fy, fx = np.fft.fftfreq(height), np.fft.fftfreq(width)
    window = np.sqrt(np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]))
    band = np.exp(-(fy[:, None] ** 2 + fx**2) / (4 * _BAND**2))
    rows, columns = (np.exp(2j * np.pi * np.outer(_TOLERANCE, f)) for f in (fy, fx))
    return (
        window.astype(np.float32),
        band.astype(np.float32),
        rows.astype(np.complex64),
        np.ascontiguousarray(columns.T.astype(np.complex64)),
    )


def near(gray: Gray, kind: str, channels: int) -> Gray:
    """Return images whose edges can be compared with those of other sensors.

    Distances become nearness, 0 where nothing is near, with the gaps between the lines of a sparse LiDAR closed.

    Args:
        gray: (B, H, W).
        kind: of the sensor.
        channels: of the sensor: a distance has fewer than three.
    """
    if kind not in _DISTANCE_KINDS or channels >= 3:
        return gray
    nearness = np.zeros_like(gray.values)
    known = np.ones_like(gray.values, bool) if gray.valid is None else gray.valid
    np.divide(_NEAREST, np.maximum(gray.values, _NEAREST), out=nearness, where=known)
    side = max(3, round(nearness.shape[1] * _LARGEST_GAP) // 2 * 2 + 1)
    closed = np.stack([cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)) for image in nearness])
    return Gray(np.where(known, nearness, closed), None)


def edge_spectra(images: Gray) -> Spectra:
    """Return the whitened spectra of the edges of images (B, H, W), with doubled angles as `alignment` has them."""
    gray, valid = _shrink(images)
    if valid is not None:
        mean = gray.sum((1, 2), keepdims=True) / np.maximum(valid.sum((1, 2), keepdims=True), 1)
        gray = np.where(valid, gray, mean.astype(np.float32))
    window, band, _, _ = _weights(*gray.shape[1:])
    dx, dy = np.zeros_like(gray), np.zeros_like(gray)
    np.subtract(gray[:, :, 2:], gray[:, :, :-2], out=dx[:, :, 1:-1])
    np.subtract(gray[:, 2:], gray[:, :-2], out=dy[:, 1:-1])
    across, down = dx * dx, dy * dy
    energy = across + down
    energy += 1e-6 * energy.max((1, 2), keepdims=True) + np.float32(1e-20)
    root = np.sqrt(energy)
    weight = window / (root * np.sqrt(root))  # an edge counts by the square root of its strength
    edges = np.empty(gray.shape, np.complex64)
    np.multiply(across - down, weight, out=edges.real)
    np.multiply(dx * dy, 2 * weight, out=edges.imag)
    if valid is not None:  # a gradient at the border of a hole belongs to the hole
        border = [cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) for hole in ~valid]
        edges[np.stack(border) > 0] = 0
    spectra = scipy.fft.fft2(edges, overwrite_x=True, workers=_WORKERS)
    strength = np.abs(spectra)
    root = np.sqrt(strength)
    spectra *= band / (root * np.sqrt(root) + np.float32(1e-6))
    return np.asarray(spectra[:, None], np.complex64)


def _shrink(images: Gray) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Return images at most `_MAX_SIDE` long, by area; a pixel with a hole in it is a hole."""
    gray, valid = images.values, images.valid
    height, width = gray.shape[1:]
    factor = -(-max(height, width) // _MAX_SIDE)
    if factor == 1:
        return gray, valid
    size = (max(1, width // factor), max(1, height // factor))
    small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in gray])
    if valid is None:
        return small, None
    whole = np.stack([cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in valid])
    return np.where(whole > 0.99, small, np.float32(0)), whole > 0.99


def prediction_maps(logs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logarithms of class probabilities (B, K, h, w) at most `_MAX_MAP_SIDE` a side."""
    factor = -(-max(logs.shape[2:]) // _MAX_MAP_SIDE)
    logs = np.maximum(logs, _LEAST_LOG)
    if factor == 1:
        return logs
    down, across = (min(factor, side) for side in logs.shape[2:])  # a long image may be narrower than a block
    height, width = logs.shape[2] // down, logs.shape[3] // across
    blocks = logs[:, :, : height * down, : width * across].reshape(*logs.shape[:2], height, down, width, across)
    return np.asarray(blocks.mean((3, 5)))


def map_spectra(maps: NDArray[np.float32]) -> Spectra:
    """Return the spectra of maps (…, h, w) from which what is usual at each place was subtracted."""
    return np.asarray(scipy.fft.fft2(maps, workers=_WORKERS), np.complex64)


def match_edges(ours: Spectra, theirs: Spectra) -> NDArray[np.float64]:
    """Return how well the edges of each of B pairs match (B); 0 where there are no edges."""
    product = np.conj(ours[:, 0]) * theirs[:, 0]
    _, _, rows, columns = _weights(*product.shape[1:])
    near = (rows @ product @ columns).real.max((1, 2))
    return _in_deviations(near, product, 0.5)


def match_maps(ours: Spectra, theirs: Spectra) -> NDArray[np.float64]:
    """Return how well the maps of each of B pairs match (B)."""
    product = np.einsum("bkij,bkij->bij", np.conj(ours), theirs)
    product[:, 0, 0] = 0  # the mean over all displacements
    return _in_deviations(product.real.sum((1, 2)), product, 1.0)


def _in_deviations(height: NDArray[np.floating], product: Spectra, share: float) -> NDArray[np.float64]:
    """Divide by the standard deviation over all displacements, which Parseval's theorem gives; `share` is real."""
    deviation = np.sqrt(share * (product.real**2 + product.imag**2).sum((1, 2)))
    return np.divide(height, deviation, out=np.zeros(len(height)), where=deviation > 1e-9)


def find_peak(ours: Spectra, theirs: Spectra) -> Peak:
    """Find where the edges of one pair (1, 1, H, W) match best."""
    product = np.conj(ours[0, 0]) * theirs[0, 0]
    surface = scipy.fft.ifft2(product).real
    place = np.unravel_index(int(surface.argmax()), surface.shape)
    deviation = float(surface.std()) or 1.0
    moved = [(index + size // 2) % size - size // 2 for index, size in zip(map(int, place), surface.shape, strict=True)]
    return Peak(
        (moved[0] / surface.shape[0], moved[1] / surface.shape[1]), float(surface[place] - surface.mean()) / deviation
    )
