"""The raw files of MUSES: events in HDF5, LiDAR as binary points, radar as a polar picture; each becomes an image.

The images have the form of the data set's own kit (`projected_to_rgb`, as PNG): channels in the order of OpenCV, so
that a PNG reader sees the last one first. Motion during a scan is not compensated, as in the kit by default.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.image_io import read_pixels
from sensorproof.data.importers.public.projection import (
    EMPTY,
    Float,
    PinholeView,
    count_events,
    draw_points,
    infinite_homography,
    project_points,
)
from sensorproof.errors import BatchError

_COLUMNS = 6
"""Of a LiDAR point: x, y, z in metres, intensity, ring, time."""
_NEAREST_M = 1.0
"""Nearer points are the vehicle's own."""
_AZIMUTHS, _FRONT = 400, slice(145, 255)
"""Columns of the radar's picture, a full turn, and those that can be in the camera's view."""
_HEADER_ROWS, _VALID_ROW = 11, 10
"""Rows of the radar's picture before the echoes, and the one that says whether a column is valid."""
_BIN_M, _RADAR_RANGE_M = 0.0438, 150.0
"""Length of a range bin, and the range that is drawn."""
_GROUND_M = -1.62
"""Height of the ground below the radar, which measures none."""


@dataclass(frozen=True)
class EventProjection:
    """Draws the events of a file `.h5` with events/x, events/y, events/t and events/p."""

    view: PinholeView
    intrinsics: Float
    """Of the event camera, (3, 3)."""
    pose: Float
    """(4, 4), from the event camera to the camera."""

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return (H, W, 3) uint8: nothing, negative, positive."""
        import h5py
        import hdf5plugin  # noqa: F401 - registers the compressions that the files may have

        try:
            with h5py.File(path, "r") as file:
                x, y, t, p = (np.asarray(file[f"events/{name}"]) for name in "xytp")
        except (OSError, KeyError, TypeError) as error:
            raise BatchError(path, f"is not a whole file of events ({error})", "copy the file again") from error
        if not len(x) == len(y) == len(t) == len(p):
            raise BatchError(path, "has columns of different lengths", "copy the file again")
        homography = infinite_homography(self.view.intrinsics, self.intrinsics, self.pose)
        pixels = np.column_stack([x, y]).astype(float)
        counts = count_events(pixels, t.astype(np.int64), p == 1, homography, self.view.size)
        return np.concatenate([np.zeros_like(counts[..., :1]), counts[..., ::-1]], axis=-1)


@dataclass(frozen=True)
class LidarProjection:
    """Draws the points of a file `.bin`: float64, N x 6. Of several points in a pixel the nearest is seen."""

    view: PinholeView
    pose: Float
    """(4, 4), from the LiDAR to the camera."""

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return (H, W, 3) uint16: height, intensity and range of a point in the LiDAR's frame."""
        content = np.fromfile(path, np.float64)
        if content.size == 0 or content.size % _COLUMNS or path.stat().st_size % 8:
            raise BatchError(path, f"is not a whole list of points of {_COLUMNS} numbers", "copy the file again")
        cloud = content.reshape(-1, _COLUMNS)
        distance = np.linalg.norm(cloud[:, :3], axis=1)
        cloud, distance = cloud[distance >= _NEAREST_M], distance[distance >= _NEAREST_M]
        places, inside = project_points(cloud[:, :3], self.pose, self.view)
        values = np.column_stack([cloud[:, 2], cloud[:, 3], distance])
        return draw_points(places[inside], values[inside], -distance[inside], self.view.size)


@dataclass(frozen=True)
class RadarProjection:
    """Draws the polar picture of a radar, as points on the ground. Of several in a pixel the strongest is seen."""

    view: PinholeView
    pose: Float
    """(4, 4), from the radar to the camera."""

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return (H, W, 3) uint16: nothing, intensity and range of an echo."""
        picture = read_pixels(path)
        picture = picture[..., 0] if picture.ndim == 3 else picture
        if picture.shape[1:] != (_AZIMUTHS,) or len(picture) <= _HEADER_ROWS or picture.dtype != np.uint8:
            fault = f"is not a polar picture: {picture.dtype} of shape {picture.shape}, not of {_AZIMUTHS} columns"
            raise BatchError(path, fault, "copy the file again")
        echoes = picture[_HEADER_ROWS:, _FRONT].T[:, : int(_RADAR_RANGE_M / _BIN_M)]
        azimuth = -np.radians(np.linspace(-180 + 360 / _AZIMUTHS, 180, _AZIMUTHS))[_FRONT]
        along = _BIN_M * np.arange(1, echoes.shape[1] + 1)
        x, y = np.outer(np.cos(azimuth), along), np.outer(np.sin(azimuth), along)
        points = np.stack([x, y, np.full_like(x, _GROUND_M)], axis=-1)
        valid = (picture[_VALID_ROW, _FRONT] > 0)[:, None] & np.ones_like(echoes, bool)
        distance = np.linalg.norm(points, axis=-1)
        valid &= (distance >= _NEAREST_M) & (distance <= _RADAR_RANGE_M)
        points, intensity, distance = points[valid], echoes[valid].astype(float), distance[valid]
        places, inside = project_points(points, self.pose, self.view)
        values = np.column_stack([np.zeros_like(distance), intensity, distance])
        return draw_points(places[inside], values[inside], intensity[inside], self.view.size)


__all__ = ["EMPTY", "EventProjection", "LidarProjection", "RadarProjection"]
