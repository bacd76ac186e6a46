"""Project what is not an image onto the image of a camera: points of LiDAR and radar, and events.

Pixel (column u, row v) covers [u, u + 1) x [v, v + 1): coordinates are cut to integers for points, as in the kit of
MUSES, and rounded for events, as there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
EVENT_WINDOW_US = 30_000
"""Events of the last 30 ms are counted."""
POINT_SHIFT, POINT_SCALE = 100.0, 150.0
"""Values of points are stored as (value + 100) x 150, 16 bits; a pixel without a point has the value 0."""
EMPTY = round(POINT_SHIFT * POINT_SCALE)
"""What is stored where no point is."""
_MAX_COUNT = 255


@dataclass(frozen=True)
class PinholeView:
    """The image that is projected onto."""

    intrinsics: Float
    """(3, 3), in pixels of this size."""
    size: tuple[int, int]
    """Height and width."""


def scale_intrinsics(intrinsics: Float, size: tuple[int, int], calibrated: tuple[int, int]) -> Float:
    """Return a camera matrix for images of another size than it was calibrated at, (height, width) each."""
    factors = np.array([size[1] / calibrated[1], size[0] / calibrated[0], 1.0])
    return np.asarray(intrinsics, float) * factors[:, None]


def project_points(points: Float, pose: Float, view: PinholeView) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Project points into a view.

    Args:
        points: (N, 3) in metres, in the frame of their sensor.
        pose: (4, 4), from that frame to the camera's (x right, y down, z forward).
        view: the camera.

    Returns:
        (N, 2) rows and columns, and (N,) whether a point lies before the camera and inside of the image. A point on
        the outermost line of pixels is outside, as in the kit of MUSES.
    """
    camera = points @ pose[:3, :3].T + pose[:3, 3]
    ahead = camera[:, 2] > 0
    depth = np.where(ahead, camera[:, 2], 1.0)
    u, v = (camera @ view.intrinsics.T)[:, :2].T / depth
    height, width = view.size
    inside = ahead & (u > 0) & (u < width - 1) & (v > 0) & (v < height - 1)
    places = np.stack([np.where(inside, v, 0), np.where(inside, u, 0)], axis=1).astype(np.int64)
    return places, inside


def draw_points(places: NDArray[np.int64], values: Float, priority: Float, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Draw points; of several in one pixel, the one of the highest priority is seen.

    Args:
        places: (N, 2) rows and columns.
        values: (N, C), each from -100 to 336, which 16 bits can hold after the shift and the scale.
        priority: (N,).
        size: height and width.

    Returns:
        (H, W, C), `EMPTY` in all channels where no point is.
    """
    stored = np.clip((values + POINT_SHIFT) * POINT_SCALE, 0, np.iinfo(np.uint16).max).astype(np.uint16)
    image = np.full((*size, values.shape[1]), EMPTY, np.uint16)
    order = np.argsort(priority, kind="stable")  # numpy keeps the last of several values for one place
    rows, columns = places[order].T
    image[rows, columns] = stored[order]
    return image


def infinite_homography(camera: Float, sensor: Float, pose: Float) -> Float:
    """Return the map (3, 3) of pixels of a sensor to pixels of the camera, exact for what is infinitely far away.

    Events have no depth, so the translation between the two cannot be taken into account.

    Args:
        camera: its intrinsics (3, 3).
        sensor: those of the sensor.
        pose: (4, 4), from the sensor to the camera.
    """
    return camera @ pose[:3, :3] @ np.linalg.inv(sensor)


def count_events(
    pixels: Float, times_us: NDArray[np.integer], positive: NDArray[np.bool_], homography: Float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Count the last events of each polarity in each pixel of the camera.

    Args:
        pixels: (N, 2) columns and rows in the event camera, undistorted.
        times_us: (N,) in microseconds.
        positive: (N,) whether the pixel became brighter.
        homography: (3, 3) from the event camera to the camera.
        size: height and width of the camera's image.

    Returns:
        (H, W, 2): counts of positive and of negative events, at most 255. Events outside of the image do not count.
    """
    counts = np.zeros((2, size[0] * size[1]), np.int64)
    if len(times_us):
        recent = times_us >= times_us.max() - EVENT_WINDOW_US
        pixels, positive = pixels[recent], positive[recent]
        mapped = np.column_stack([pixels, np.ones(len(pixels))]) @ homography.T
        columns, rows = (mapped[:, :2] / mapped[:, 2:]).round().astype(np.int64).T
        inside = (mapped[:, 2] > 0) & (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0])
        for channel, chosen in enumerate((inside & positive, inside & ~positive)):
            places = rows[chosen] * size[1] + columns[chosen]
            counts[channel] = np.bincount(places, minlength=size[0] * size[1])
    return np.minimum(counts, _MAX_COUNT).astype(np.uint8).T.reshape(*size, 2)
