"""Calibration of one sensor: intrinsics, pose, age, and whether they fit the images."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.corners import image_corners, largest_length
from sensorproof.alignment.measures.timing import LAST_DATE_S
from sensorproof.data.batch import BatchInfo, Calibration

_FIRST_DATE_S = 1e8
"""Timestamps below this one (year 1973) count from an arbitrary start and give no date."""
Sizes = dict[str, tuple[int, int]]
"""{sensor: height and width of its images}."""


@dataclass(frozen=True)
class CalibrationMeasures:
    """The columns of the group "calibration"; NaN without a calibration or if a measure cannot be computed."""

    has_calibration: float
    intrinsics_fault: float
    """1 if a focal length is not positive, or K is not [[f, s, c], [0, f, c], [0, 0, 1]]."""
    principal_point_offset: float
    """From the image's centre, as a share of the side, the larger of both. If K belongs to an image of twice the size
    it is 0.5, to one of half the size 0.25."""
    rotation_error: float
    """Largest entry of |R^T R - I|, of |det R - 1|, and of the pose's last row minus (0, 0, 0, 1)."""
    loop_error: float
    """Largest entry of |T T' - I| with the rigid inverse T'; of |T - I| for the reference. A batch gives each sensor's
    pose to the reference and no other, so there is no longer loop to close."""
    view_error_px: float
    """Distance of the view's corners, as K and the image size claim them, from the reference's, in its pixels."""
    calibration_age_days: float
    """First frame minus calibration; negative if the calibration is newer than the frames."""


_NO_CALIBRATION = CalibrationMeasures(0.0, *[float("nan")] * 6)


def measure_calibration(info: BatchInfo, sensor: str, sizes: Sizes, first_s: float) -> CalibrationMeasures:
    """Measure one sensor's calibration.

    Args:
        info: has the calibrations.
        sensor: its name.
        sizes: of the sensors' images, as far as known.
        first_s: the earliest timestamp of the batch, seconds.
    """
    calibration = info.sensors[sensor].calibration
    if calibration is None:
        return _NO_CALIBRATION
    matrix, pose = calibration.intrinsics, calibration.pose
    size = sizes.get(sensor)
    offset = np.nan
    if size is not None:
        offset = max(abs(matrix[0, 2] / size[1] - 0.5), abs(matrix[1, 2] / size[0] - 0.5))
    return CalibrationMeasures(
        has_calibration=1.0,
        intrinsics_fault=float(not _is_intrinsics(matrix)),
        principal_point_offset=float(offset),
        rotation_error=rotation_error(pose),
        loop_error=loop_error(pose, sensor == info.reference),
        view_error_px=_view_error(info, sensor, sizes),
        calibration_age_days=_age_days(calibration, first_s),
    )


def _is_intrinsics(matrix: NDArray[np.float64]) -> bool:
    """Return whether a 3 x 3 matrix is upper triangular with positive focal lengths and a last entry of 1."""
    lower = np.abs([matrix[1, 0], matrix[2, 0], matrix[2, 1]]).max()
    return bool(matrix[0, 0] > 0 and matrix[1, 1] > 0 and lower < 1e-9 and abs(matrix[2, 2] - 1) < 1e-9)


def rotation_error(pose: NDArray[np.float64]) -> float:
    """Return how far the rotation of a 4 x 4 pose is from orthonormal with determinant +1."""
    rotation = pose[:3, :3]
    orthonormal = np.abs(rotation.T @ rotation - np.eye(3)).max()
    last_row = np.abs(pose[3] - [0, 0, 0, 1]).max()
    return float(max(orthonormal, abs(np.linalg.det(rotation) - 1), last_row))


def loop_error(pose: NDArray[np.float64], is_reference: bool) -> float:
    """Return how far the loop sensor -> reference -> sensor is from closing; the reference's own pose must be I."""
    if is_reference:
        return float(np.abs(pose - np.eye(4)).max())
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return float(np.abs(pose @ inverse - np.eye(4)).max())


def _view_error(info: BatchInfo, sensor: str, sizes: Sizes) -> float:
    """Compare the rays of the four corners, in pixels of the reference: registered sensors share its view."""
    own, reference = info.sensors[sensor].calibration, info.sensors[info.reference].calibration
    size, reference_size = sizes.get(sensor), sizes.get(info.reference)
    if own is None or reference is None or size is None or reference_size is None:
        return np.nan
    if not (_is_intrinsics(own.intrinsics) and _is_intrinsics(reference.intrinsics)):
        return np.nan
    height, width = size
    corners = (image_corners(size) + np.array(size) / 2)[:, ::-1]  # x and y from the top left
    rays = np.column_stack([corners, np.ones(len(corners))]).T
    projected = reference.intrinsics @ np.linalg.inv(own.intrinsics) @ rays
    scale = np.array([reference_size[1] / width, reference_size[0] / height])
    return largest_length(projected[:2].T - corners * scale)


def _age_days(calibration: Calibration, first_s: float) -> float:
    """Return the days from the calibration to the first frame; NaN if the timestamps give no date."""
    if not (np.isfinite(first_s) and _FIRST_DATE_S < first_s < LAST_DATE_S):
        return np.nan
    captured = datetime.combine(calibration.captured, datetime.min.time(), tzinfo=UTC)
    return float((datetime.fromtimestamp(first_s, UTC) - captured).total_seconds() / 86400)
