"""Calibration measures: intrinsics, pose, loops, age, and whether they fit the images."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo, Calibration

_EPOCH_FROM_S = 1e8
"""Stamps below (before 1973) count from a start of their own and tell no date."""


@dataclass(frozen=True)
class CalibrationMeasures:
    """One sensor's calibration. NaN where there is none, or where a measure cannot be told."""

    has_calibration: float
    intrinsics_fault: float
    """1 where a focal length is not positive, or K is not [[f, s, c], [0, f, c], [0, 0, 1]]."""
    principal_point_offset: float
    """From the image's middle to the principal point, as a share of the side; the larger of both. K of an image twice
    as large as the sensor's gives 0.5, of one half as large 0.25."""
    rotation_error: float
    """Largest entry of |R^T R - I|, |det R - 1| and the pose's last row less (0, 0, 0, 1)."""
    loop_error: float
    """Largest entry of |T T' - I|, where T' is the rigid inverse; for the reference, of |T - I|. A batch names each
    sensor's pose to the reference and no other, so that there is no longer loop to close."""
    view_error_px: float
    """How far the edge of the view that K and the image size claim lies from the reference's, in reference pixels."""
    calibration_age_days: float
    """First frame less calibration; below zero, the calibration is newer than the frames."""


NONE = CalibrationMeasures(0.0, *[float("nan")] * 6)


def calibration_measures(
    info: BatchInfo, sensor: str, sizes: dict[str, tuple[int, int]], first_s: float
) -> CalibrationMeasures:
    """Measure one sensor's calibration.

    Args:
        sizes: height and width of the images of each sensor, as far as known.
        first_s: the earliest stamp of the batch, seconds.
    """
    calibration = info.sensors[sensor].calibration
    if calibration is None:
        return NONE
    matrix, pose = calibration.intrinsics, calibration.pose
    size = sizes.get(sensor)
    outside = np.nan
    if size is not None:
        outside = max(abs(matrix[0, 2] / size[1] - 0.5), abs(matrix[1, 2] / size[0] - 0.5))
    return CalibrationMeasures(
        has_calibration=1.0,
        intrinsics_fault=float(not _is_intrinsics(matrix)),
        principal_point_offset=float(outside),
        rotation_error=rotation_error(pose),
        loop_error=loop_error(pose, sensor == info.reference),
        view_error_px=_view_error(info, sensor, sizes),
        calibration_age_days=_age_days(calibration, first_s),
    )


def _is_intrinsics(matrix: NDArray[np.float64]) -> bool:
    """Whether a 3 x 3 matrix is upper triangular with positive focal lengths and a last entry of 1."""
    lower = np.abs([matrix[1, 0], matrix[2, 0], matrix[2, 1]]).max()
    return bool(matrix[0, 0] > 0 and matrix[1, 1] > 0 and lower < 1e-9 and abs(matrix[2, 2] - 1) < 1e-9)


def rotation_error(pose: NDArray[np.float64]) -> float:
    """How far the rotation of a 4 x 4 pose is from orthonormal with determinant +1."""
    rotation = pose[:3, :3]
    orthonormal = np.abs(rotation.T @ rotation - np.eye(3)).max()
    last = np.abs(pose[3] - [0, 0, 0, 1]).max()
    return float(max(orthonormal, abs(np.linalg.det(rotation) - 1), last))


def loop_error(pose: NDArray[np.float64], is_reference: bool) -> float:
    """How far the loop sensor -> reference -> sensor is from closing; the reference's own pose must be I."""
    if is_reference:
        return float(np.abs(pose - np.eye(4)).max())
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return float(np.abs(pose @ inverse - np.eye(4)).max())


def _view_error(info: BatchInfo, sensor: str, sizes: dict[str, tuple[int, int]]) -> float:
    """Registered sensors share the reference's view: compare the rays of the four corners, in reference pixels."""
    own, other = info.sensors[sensor].calibration, info.sensors[info.reference].calibration
    size, size_other = sizes.get(sensor), sizes.get(info.reference)
    if own is None or other is None or size is None or size_other is None:
        return np.nan
    if not (_is_intrinsics(own.intrinsics) and _is_intrinsics(other.intrinsics)):
        return np.nan
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
    seen = other.intrinsics @ np.linalg.inv(own.intrinsics) @ corners
    scale = np.array([size_other[1] / width, size_other[0] / height])
    return float(np.hypot(*(seen[:2].T - corners[:2].T * scale).T).max())


def _age_days(calibration: Calibration, first_s: float) -> float:
    """Days from the calibration to the first frame; NaN where the stamps tell no date."""
    if not (np.isfinite(first_s) and _EPOCH_FROM_S < first_s < 1e11):
        return np.nan
    captured = datetime.combine(calibration.captured, datetime.min.time(), tzinfo=UTC)
    return float((datetime.fromtimestamp(first_s, UTC) - captured).total_seconds() / 86400)
