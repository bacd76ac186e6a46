"""The rig: a pinhole reference camera and a LiDAR with a pose of its own, as grids of rays.

Coordinate frames: world and LiDAR x forward, y left, z up; camera x right, y down, z forward. Image coordinates are
continuous: the pixel in row i and column j has its centre at (u, v) = (j + 0.5, i + 0.5). Metres and radians.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sensorproof.data.simulator.array_types import Doubles, Floats, Ints, Mask

_FIELD_OF_VIEW = np.radians(52.0)
"""Horizontal, of the reference camera."""
CAMERA_HEIGHT = 1.55
"""Above the road."""
CAMERA_PITCH = np.radians(4.0)
"""Downwards."""
_CAMERA_FROM_BODY_AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
_LIDAR_POSITION = np.array([-0.35, 0.12, 0.32])
"""From the camera, along the axes of the vehicle: 35 cm behind, 12 cm left of and 32 cm above it."""
_LIDAR_ANGLES = np.radians([0.4, 1.2, -0.7])
"""Roll, pitch and yaw against the vehicle."""
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
        """The 3 x 3 matrix K, in pixels."""
        focal = self.width / 2 / np.tan(_FIELD_OF_VIEW / 2)
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])

    def rays(self) -> Floats:
        """Return unit directions through the pixel centres (H, W, 3), camera frame."""
        return _pinhole_rays(self.height, self.width)

    def project(self, points: Doubles) -> tuple[Doubles, Doubles]:
        """Project points (..., 3) of the camera frame to image coordinates (..., 2) and depth z (...), metres."""
        depth = points[..., 2]
        homogeneous = points @ self.intrinsics.T
        return homogeneous[..., :2] / np.where(np.abs(depth) > 1e-9, depth, 1e-9)[..., None], depth

    def ray_windows(self, corners: Floats) -> Ints:
        """Bound the pixels that boxes may cover.

        Args:
            corners: (N, 8, 3), of N boxes in the camera frame.

        Returns:
            (N, 4): first row, last row + 1, first column, last column + 1; empty for a box behind the camera.
        """
        front = corners[..., 2] > 0.1
        some: Mask = np.any(front, axis=1)
        uv, _ = self.project(corners.astype(np.float64))
        low, high = np.floor(uv.min(1)) - 1, np.ceil(uv.max(1)) + 1
        partly: Mask = some & ~np.all(front, axis=1)
        size = np.array([self.width, self.height])
        low = np.clip(np.where(partly[:, None], 0, low), 0, size)
        high = np.clip(np.where(partly[:, None], size, high), 0, size)
        high = np.where(some[:, None], high, low)
        return np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], 1).astype(np.int64)


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR; rays are cast only in the part of its turn that faces the camera's view."""

    def _angles(self) -> tuple[Doubles, Doubles]:
        """Return elevations (16,) from top to bottom and azimuths (A,) from left to right."""
        half = _FIELD_OF_VIEW / 2 + np.radians(8.0)
        elevation = np.linspace(_BEAM_ELEVATION[1], _BEAM_ELEVATION[0], _BEAMS)
        return elevation, np.arange(half, -half, -_AZIMUTH_STEP)

    def rays(self) -> Floats:
        """Return unit directions (16, A, 3), LiDAR frame."""
        elevation, azimuth = self._angles()
        e, a = np.meshgrid(elevation, azimuth, indexing="ij")
        return np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1).astype(np.float32)

    def ray_windows(self, corners: Floats) -> Ints:
        """Bound the rays that may hit boxes (N, 8, 3) in the LiDAR frame; see Pinhole.ray_windows."""
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
    """Return Pinhole.rays for an image size."""
    intrinsics = Pinhole(height, width).intrinsics
    v, u = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(intrinsics).T
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)


def rotation(roll: float, pitch: float, yaw: float) -> Doubles:
    """Return the 3 x 3 rotation, body to parent: yaw about z, pitch about y (nose down is positive), roll about x."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _rigid_pose(turn: Doubles, shift: Doubles) -> Doubles:
    """Return the 4 x 4 pose of a rotation (3, 3) and a translation (3,)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, shift
    return pose


def invert(pose: Doubles) -> Doubles:
    """Invert a rigid 4 x 4 pose."""
    return _rigid_pose(pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3])


def transform(pose: Doubles, points: Doubles) -> Doubles:
    """Apply a 4 x 4 pose to points (..., 3)."""
    return np.asarray(points @ pose[:3, :3].T + pose[:3, 3])


def camera_to_world(x: float, y: float, yaw: float, pitch: float, roll: float) -> Doubles:
    """Return the 4 x 4 pose of the camera on a vehicle at (x, y); pitch and roll add to those of its mounting."""
    turn = rotation(roll, CAMERA_PITCH + pitch, yaw) @ _CAMERA_FROM_BODY_AXES.T
    return _rigid_pose(turn, np.array([x, y, CAMERA_HEIGHT]))


def lidar_to_camera() -> Doubles:
    """Return T_ref of the LiDAR: its mounting, the same in every frame."""
    body_to_camera = _CAMERA_FROM_BODY_AXES @ rotation(0, CAMERA_PITCH, 0).T
    return _rigid_pose(body_to_camera @ rotation(*_LIDAR_ANGLES), body_to_camera @ _LIDAR_POSITION)
