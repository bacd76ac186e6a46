"""The rig: a pinhole reference camera and a LiDAR of its own pose, as grids of rays.

Frames: world and LiDAR x forward, y left, z up; camera x right, y down, z forward. Image coordinates are
continuous, pixel (row i, column j) has its centre at (u, v) = (j + 0.5, i + 0.5). Metres and radians.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FIELD_OF_VIEW = np.radians(52.0)
"""Horizontal, of the reference camera."""
CAMERA_HEIGHT = 1.55
CAMERA_PITCH = np.radians(4.0)
"""Downwards."""
_CAMERA_FROM_BODY_AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
_LIDAR_POSITION = np.array([-0.35, 0.12, 0.32])
"""In the camera's place but with body axes: behind, left of and above the lens."""
_LIDAR_ANGLES = np.radians([0.4, 1.2, -0.7])
"""Roll, pitch, yaw against the vehicle."""
_BEAMS = 16
_BEAM_ELEVATION = np.radians([-27.0, 13.0])
_AZIMUTH_STEP = np.radians(0.5)


@dataclass(frozen=True)
class Pinhole:
    """The reference camera."""

    height: int
    width: int

    @property
    def intrinsics(self) -> Doubles:
        focal = self.width / 2 / np.tan(_FIELD_OF_VIEW / 2)
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])

    def rays(self) -> Floats:
        """(H, W, 3) unit directions through the pixel centres, camera frame."""
        return _pinhole_rays(self.height, self.width)

    def project(self, points: Doubles) -> tuple[Doubles, Doubles]:
        """Points (..., 3) in the camera frame to image coordinates (..., 2) and depth z (...), metres."""
        depth = points[..., 2]
        homogeneous = points @ self.intrinsics.T
        return homogeneous[..., :2] / np.where(np.abs(depth) > 1e-9, depth, 1e-9)[..., None], depth

    def windows(self, corners: Floats) -> NDArray[np.int64]:
        """Rows and columns (N, 4: top, bottom, left, right) that boxes (N, 8, 3), camera frame, may cover."""
        front = corners[..., 2] > 0.1
        some: NDArray[np.bool_] = np.any(front, axis=1)
        uv, _ = self.project(corners.astype(np.float64))
        low, high = np.floor(uv.min(1)) - 1, np.ceil(uv.max(1)) + 1
        partly: NDArray[np.bool_] = some & ~np.all(front, axis=1)
        size = np.array([self.width, self.height])
        low = np.clip(np.where(partly[:, None], 0, low), 0, size)
        high = np.clip(np.where(partly[:, None], size, high), 0, size)
        high = np.where(some[:, None], high, low)
        return np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], 1).astype(np.int64)


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR; only the part of its turn that faces the camera's view is cast."""

    def _angles(self) -> tuple[Doubles, Doubles]:
        """Elevations (BEAMS,) from top to bottom and azimuths (A,) from left to right."""
        half = _FIELD_OF_VIEW / 2 + np.radians(8.0)
        elevation = np.linspace(_BEAM_ELEVATION[1], _BEAM_ELEVATION[0], _BEAMS)
        return elevation, np.arange(half, -half, -_AZIMUTH_STEP)

    def rays(self) -> Floats:
        """(BEAMS, A, 3) unit directions, LiDAR frame."""
        elevation, azimuth = self._angles()
        e, a = np.meshgrid(elevation, azimuth, indexing="ij")
        return np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1).astype(np.float32)

    def windows(self, corners: Floats) -> NDArray[np.int64]:
        """As Pinhole.windows, for boxes (N, 8, 3) in the LiDAR frame."""
        elevation, azimuth = self._angles()
        middle = corners.mean(1)
        reach = np.hypot(*np.moveaxis(corners - middle[:, None], -1, 0)[:2]).max(1)
        across = np.hypot(middle[:, 0], middle[:, 1])
        near, far = np.maximum(across - reach, 1e-3), across + reach
        bottom, top = corners[..., 2].min(1), corners[..., 2].max(1)
        lowest = np.arctan2(bottom, np.where(bottom < 0, near, far))
        highest = np.arctan2(top, np.where(top > 0, near, far))
        half = np.arcsin(np.clip(reach / np.maximum(across, 1e-6), 0, 1))
        bearing = np.arctan2(middle[:, 1], middle[:, 0])
        around = across <= reach
        left = np.where(around, np.pi, bearing + half)
        right = np.where(around, -np.pi, bearing - half)
        rows = np.searchsorted(-elevation, -highest), np.searchsorted(-elevation, -lowest, side="right")
        columns = np.searchsorted(-azimuth, -left), np.searchsorted(-azimuth, -right, side="right")
        return np.stack([*rows, *columns], 1).astype(np.int64)


@lru_cache(maxsize=2)
def _pinhole_rays(height: int, width: int) -> Floats:
    intrinsics = Pinhole(height, width).intrinsics
    v, u = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(intrinsics).T
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)


def rotation(roll: float, pitch: float, yaw: float) -> Doubles:
    """3 x 3, body to parent: yaw about z, then pitch about y (positive is nose down), then roll about x."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def rigid(turn: Doubles, shift: Doubles) -> Doubles:
    """4 x 4 pose of a rotation and a translation."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, shift
    return pose


def inverse(pose: Doubles) -> Doubles:
    """The inverse of a rigid 4 x 4 pose."""
    return rigid(pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3])


def move(pose: Doubles, points: Doubles) -> Doubles:
    """Apply a 4 x 4 pose to points (..., 3)."""
    return np.asarray(points @ pose[:3, :3].T + pose[:3, 3])


def camera_to_world(x: float, y: float, yaw: float, pitch: float, roll: float) -> Doubles:
    """Pose of the camera on a vehicle at (x, y); pitch and roll are the vehicle's own, on top of the mounting's."""
    turn = rotation(roll, CAMERA_PITCH + pitch, yaw) @ _CAMERA_FROM_BODY_AXES.T
    return rigid(turn, np.array([x, y, CAMERA_HEIGHT]))


def lidar_to_camera() -> Doubles:
    """T_ref of the LiDAR: its mounting, the same in every frame."""
    body_to_camera = _CAMERA_FROM_BODY_AXES @ rotation(0, CAMERA_PITCH, 0).T
    return rigid(body_to_camera @ rotation(*_LIDAR_ANGLES), body_to_camera @ _LIDAR_POSITION)
