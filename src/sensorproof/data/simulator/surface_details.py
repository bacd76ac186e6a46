"""Details on surfaces that several sensors see: road markings, windows, wheels, lamps."""

from dataclasses import dataclass

import numpy as np

from sensorproof.data.simulator.array_types import Floats, Mask
from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Label, Part
from sensorproof.data.simulator.texture import chance, noise

_WINDOW_SPACING = 2.6
"""Metres from window to window."""
_STOREY_HEIGHT = 3.1
"""Metres."""
_LIT_WINDOWS = 0.25
"""Share of windows with light behind them at night."""


@dataclass(frozen=True)
class SurfaceDetails:
    """Masks (H, W) over a grid of hits."""

    marking: Mask
    window: Mask
    lit: Mask
    """Windows with light behind them at night."""
    glass: Mask
    """Windows of vehicles."""
    tyre: Mask
    headlamp: Mask
    tail_lamp: Mask
    sign: Mask
    trunk: Mask
    head: Mask


def find_details(hits: Hits) -> SurfaceDetails:
    """Find all details in a grid of hits."""
    part = hits.value_of(hits.primitives.part, Part.PLAIN)
    size = hits.value_of(hits.primitives.size, 1)
    x, y, z = np.moveaxis(hits.local, -1, 0)
    body, upright = part == Part.BODY, np.abs(hits.normal[..., 2]) < 0.5
    window, cell = _find_windows(hits, upright)
    lamp = body & (np.abs(y) > 0.5 * size[..., 1]) & (z > 0.5) & (z < 0.8)
    driven = hits.value_of(hits.primitives.warmth, 0) > 5
    return SurfaceDetails(
        marking=_markings(hits),
        window=window,
        lit=window & (cell < _LIT_WINDOWS),
        glass=(part == Part.CABIN) & upright,
        tyre=body & (z < 0.6) & (np.abs(np.abs(x) - 0.62 * size[..., 0]) < 0.32) & (np.abs(y) > 0.9 * size[..., 1]),
        headlamp=lamp & driven & (x > 0.96 * size[..., 0]),
        tail_lamp=lamp & driven & (x < -0.96 * size[..., 0]),
        sign=part == Part.SIGN,
        trunk=part == Part.TRUNK,
        head=part == Part.HEAD,
    )


def _markings(hits: Hits) -> Mask:
    """Find dashed centre lines, solid edge lines and zebra crossings at side streets, all worn in places."""
    road = hits.road
    x, y = hits.point[..., 0], hits.point[..., 1]
    d, side = road.across(x, y), np.abs(road.along_crossing(x))
    dashes = (np.abs(d) < 0.08) & (x % 6 < 3)
    solid = np.abs(np.abs(d) - (road.style.road_half - 2.15)) < 0.07
    zebra = (side > 5.2) & (side < 7.6) & (np.abs(d) < road.style.road_half - 0.3) & (d % 1.1 < 0.55)
    painted = np.where(side < 5.2, False, np.where(side < 8, zebra, dashes | solid))
    return (hits.label == Label.ROAD) & painted & (noise(hits.point, 0.7, 5) > -1.3)


def _find_windows(hits: Hits, upright: Mask) -> tuple[Mask, Floats]:
    """Find the windows on facades; return their mask and, for each pixel, its window's own number in [0, 1)."""
    along, z = hits.local[..., 0] + hits.local[..., 1], hits.local[..., 2]
    u, v = along / _WINDOW_SPACING, z / _STOREY_HEIGHT
    opening = (u % 1 > 0.27) & (u % 1 < 0.73) & (v % 1 > 0.33) & (v % 1 < 0.8)
    seed = hits.value_of(hits.primitives.seed, 0)
    cell = chance(np.stack([np.floor(u), np.floor(v), seed], -1).astype(np.int64), 3)
    return (hits.label == Label.BUILDING) & upright & opening, cell
