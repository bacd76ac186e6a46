"""What is painted on or let into surfaces, seen by more than one sensor: markings, windows, wheels, lamps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Label, Part
from sensorproof.data.simulator.texture import chance, noise

Mask = NDArray[np.bool_]
_WINDOW_WIDTH = 2.6
_STOREY = 3.1
_LIT_WINDOWS = 0.25
"""Share of windows behind which there is light at night."""


@dataclass(frozen=True)
class Patterns:
    """Masks over a grid of hits."""

    marking: Mask
    window: Mask
    lit: Mask
    """Windows with light behind them at night."""
    glass: Mask
    """Of vehicles."""
    tyre: Mask
    headlamp: Mask
    tail_lamp: Mask
    sign: Mask
    trunk: Mask
    head: Mask


def patterns(hits: Hits) -> Patterns:
    """Find all patterns in a grid of hits."""
    part = hits.of(hits.primitives.part, Part.PLAIN)
    size = hits.of(hits.primitives.size, 1)
    x, y, z = np.moveaxis(hits.local, -1, 0)
    body, upright = part == Part.BODY, np.abs(hits.normal[..., 2]) < 0.5
    window, cell = windows(hits, upright)
    corner = body & (np.abs(y) > 0.5 * size[..., 1]) & (z > 0.5) & (z < 0.8)
    driven = hits.of(hits.primitives.warmth, 0) > 5
    return Patterns(
        marking=_markings(hits),
        window=window,
        lit=window & (cell < _LIT_WINDOWS),
        glass=(part == Part.CABIN) & upright,
        tyre=body & (z < 0.6) & (np.abs(np.abs(x) - 0.62 * size[..., 0]) < 0.32) & (np.abs(y) > 0.9 * size[..., 1]),
        headlamp=corner & driven & (x > 0.96 * size[..., 0]),
        tail_lamp=corner & driven & (x < -0.96 * size[..., 0]),
        sign=part == Part.SIGN,
        trunk=part == Part.TRUNK,
        head=part == Part.HEAD,
    )


def _markings(hits: Hits) -> Mask:
    """Dashed centre line, solid lines beside the lanes, zebra crossings at side streets; worn in places."""
    road = hits.road
    x, y = hits.point[..., 0], hits.point[..., 1]
    d, side = road.across(x, y), np.abs(road.along_crossing(x))
    dashes = (np.abs(d) < 0.08) & (x % 6 < 3)
    solid = np.abs(np.abs(d) - (road.style.road_half - 2.15)) < 0.07
    zebra = (side > 5.2) & (side < 7.6) & (np.abs(d) < road.style.road_half - 0.3) & (d % 1.1 < 0.55)
    painted = np.where(side < 5.2, False, np.where(side < 8, zebra, dashes | solid))
    return (hits.label == Label.ROAD) & painted & (noise(hits.point, 0.7, 5) > -1.3)


def windows(hits: Hits, upright: Mask) -> tuple[Mask, NDArray[np.float32]]:
    """Rows of windows on facades, and a number in [0, 1) for each window."""
    along, z = hits.local[..., 0] + hits.local[..., 1], hits.local[..., 2]
    u, v = along / _WINDOW_WIDTH, z / _STOREY
    opening = (u % 1 > 0.27) & (u % 1 < 0.73) & (v % 1 > 0.33) & (v % 1 < 0.8)
    seed = hits.of(hits.primitives.seed, 0)
    cell = chance(np.stack([np.floor(u), np.floor(v), seed], -1).astype(np.int64), 3)
    return (hits.label == Label.BUILDING) & upright & opening, cell
