"""Ray casting, vectorised over the rays: what each ray of a grid hits first."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.array_types import Doubles, Floats, Ints
from sensorproof.data.simulator.geometry import invert, transform
from sensorproof.data.simulator.scene import KERB_HEIGHT, Label, Part, Primitives, Road, Scene, Shape
from sensorproof.data.simulator.texture import noise

_GROUND = -1
"""The index of the ground among the primitives."""
_SKY = -2
"""The index of the sky among the primitives."""
_FAR = 160.0
"""Metres beyond which nothing is hit."""


class _RayGrid(Protocol):
    """A grid of rays that can tell which of them may hit a box."""

    def rays(self) -> Floats: ...

    def ray_windows(self, corners: Floats) -> Ints: ...


@dataclass(frozen=True)
class Hits:
    """What each ray of a grid (H, W) hits."""

    distance: Floats
    """(H, W) metres, infinite for the sky."""
    index: NDArray[np.int32]
    """(H, W) index into `primitives`; -1 for the ground, -2 for the sky."""
    label: NDArray[np.uint8]
    """(H, W) values of Label."""
    point: Floats
    """(H, W, 3) in the world frame, metres."""
    local: Floats
    """(H, W, 3) in the frame of the object that is hit; in the world frame for the ground."""
    normal: Floats
    """(H, W, 3) unit normal of the surface, on the side of the ray."""
    direction: Floats
    """(H, W, 3) unit direction of the ray, world frame."""
    primitives: Primitives
    road: Road

    @property
    def incidence(self) -> Floats:
        """(H, W) cosine between ray and surface normal, 0 for the sky."""
        return np.abs((self.normal * self.direction).sum(-1))

    def value_of(self, values: NDArray, default: float) -> NDArray:
        """Look up a value for each ray.

        Args:
            values: (N, ...), of the primitives.
            default: for ground and sky.

        Returns:
            (H, W, ...), the value of the primitive that the ray hits.
        """
        padded = np.concatenate([values, np.full((1, *values.shape[1:]), default, values.dtype)])
        return padded[np.where(self.index < 0, len(values), self.index)]


def cast_rays(scene: Scene, time: float, grid: _RayGrid, pose: Doubles) -> Hits:
    """Cast rays into a scene.

    Args:
        scene: the world.
        time: seconds after the start of the sequence.
        grid: the rays of a sensor.
        pose: (4, 4), sensor to world.
    """
    origin = pose[:3, 3].astype(np.float32)
    direction = (grid.rays() @ pose[:3, :3].T.astype(np.float32)).astype(np.float32)
    everything = scene.at(time)
    near = np.linalg.norm(everything.centre - origin, axis=1) < _FAR
    primitives = everything.subset(near)
    distance, index, ground = _cast_ground(scene.road, origin, direction)
    corners = transform(invert(pose), primitives.corners().astype(np.float64)).astype(np.float32)
    for k, (top, bottom, left, right) in enumerate(grid.ray_windows(corners)):
        if bottom <= top or right <= left:
            continue
        area = (slice(top, bottom), slice(left, right))
        reached = _intersect(primitives, k, origin, direction[area])
        closer = reached < distance[area]
        distance[area][closer] = reached[closer]
        index[area][closer] = k
    point = origin + direction * np.where(np.isfinite(distance), distance, 0)[..., None]
    local, normal = _surfaces(primitives, index, point, direction)
    bare = Hits(distance, index, ground, point, local, normal, direction, primitives, scene.road)
    label = np.where(index >= 0, bare.value_of(primitives.label, 0), ground)
    return Hits(distance, index, label, point, local, normal, direction, primitives, scene.road)


def _cast_ground(road: Road, origin: Floats, direction: Floats) -> tuple[Floats, NDArray[np.int32], NDArray[np.uint8]]:
    """Return distance, index and label (H, W) of ground or sky. The ground is flat, and higher beside the road."""
    down = direction[..., 2] < -1e-4
    slope = np.where(down, direction[..., 2], -1.0)
    raised = (KERB_HEIGHT - origin[2]) / slope
    flat = -origin[2] / slope
    above = origin + direction * raised[..., None]
    below = origin + direction * flat[..., None]
    upper, lower = road.ground(above[..., 0], above[..., 1]), road.ground(below[..., 0], below[..., 1])
    # A ray that misses the raised ground but comes down beneath it has hit the face of the kerb.
    on_road = (upper == Label.ROAD) & (lower == Label.ROAD)
    label = np.where(on_road, Label.ROAD, np.where(upper == Label.ROAD, lower, upper))
    rough = label == Label.TERRAIN
    bumps = np.where(rough, 0.05 * noise(above, 0.8), 0)
    distance = np.where(on_road, flat, raised * (1 - bumps / (origin[2] - KERB_HEIGHT)))
    hit = down & (distance < _FAR)
    return (
        np.where(hit, distance, np.inf).astype(np.float32),
        np.where(hit, _GROUND, _SKY).astype(np.int32),
        np.where(hit, label, Label.SKY).astype(np.uint8),
    )


def _intersect(primitives: Primitives, k: int, origin: Floats, direction: Floats) -> Floats:
    """Return the distance (h, w) at which rays hit primitive k, infinite where they miss it.

    Args:
        primitives: all of them.
        k: which one.
        origin: (3,), of all rays.
        direction: (h, w, 3) unit vectors.
    """
    cos, sin = np.cos(primitives.yaw[k]), np.sin(primitives.yaw[k])
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32) / primitives.size[k][:, None]
    start = turn @ (origin - primitives.centre[k])
    rays = direction @ turn.T
    shape = primitives.shape[k]
    if shape == Shape.BOX:
        return _intersect_box(start, rays)
    if shape == Shape.CYLINDER:
        return _intersect_cylinder(start, rays)
    reached = _intersect_sphere(start, rays)
    if primitives.part[k] == Part.CROWN:
        # Leaves: holes in the crown, more of them at its rim.
        unit = start + rays * np.where(np.isfinite(reached), reached, 0)[..., None]
        graze = 1 - np.abs((unit * rays).sum(-1)) / np.maximum(np.linalg.norm(rays, axis=-1), 1e-6)
        leaves = noise(unit * primitives.size[k], 0.5, int(primitives.seed[k]))
        reached = np.where(leaves + 2.2 * graze > 2.0, np.inf, reached)
    return reached


def _intersect_box(start: Floats, rays: Floats) -> Floats:
    """Intersect rays with the cube [-1, 1]³ by the slab method."""
    safe = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    a, b = (-1 - start) / safe, (1 - start) / safe
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf).astype(np.float32)


def _intersect_sphere(start: Floats, rays: Floats) -> Floats:
    """Intersect rays with the unit sphere."""
    a, b, c = (rays * rays).sum(-1), rays @ start, start @ start - 1
    root = b * b - a * c
    reached = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (reached > 0), reached, np.inf).astype(np.float32)


def _intersect_cylinder(start: Floats, rays: Floats) -> Floats:
    """Intersect rays with the upright unit cylinder, z in [-1, 1], and its upper lid."""
    flat = rays[..., :2]
    a, b, c = np.maximum((flat * flat).sum(-1), 1e-12), flat @ start[:2], start[:2] @ start[:2] - 1
    root = b * b - a * c
    side = (-b - np.sqrt(np.maximum(root, 0))) / a
    z = start[2] + rays[..., 2] * side
    side = np.where((root > 0) & (side > 0) & (np.abs(z) <= 1), side, np.inf)
    lid = (1 - start[2]) / np.where(np.abs(rays[..., 2]) < 1e-9, 1e-9, rays[..., 2])
    inside = ((start[:2] + flat * lid[..., None]) ** 2).sum(-1) <= 1
    return np.minimum(side, np.where((lid > 0) & inside, lid, np.inf)).astype(np.float32)


def _surfaces(
    primitives: Primitives, index: NDArray[np.int32], point: Floats, direction: Floats
) -> tuple[Floats, Floats]:
    """Return points in the frames of their objects, and normals, both (H, W, 3); the ground's normal is up."""
    local, normal = point.copy(), np.zeros_like(point)
    normal[..., 2] = index == _GROUND
    hit = index >= 0
    k = index[hit]
    cos, sin = np.cos(primitives.yaw[k]), np.sin(primitives.yaw[k])
    local[hit] = _unturn(point[hit] - primitives.base[k], cos, sin)
    unit = _unturn(point[hit] - primitives.centre[k], cos, sin) / primitives.size[k]
    shape = primitives.shape[k]
    own = unit / primitives.size[k]
    round_side = (shape == Shape.CYLINDER) & (np.abs(unit[:, 2]) < 0.999)
    own[round_side, 2] = 0
    lid = (shape == Shape.CYLINDER) & ~round_side
    own[lid] = (0, 0, 1)
    box = shape == Shape.BOX
    face = np.abs(unit[box]).argmax(1)
    own[box] = np.eye(3, dtype=np.float32)[face] * np.sign(unit[box])
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-6)
    normal[hit] = _unturn(own, cos, -sin)
    away = (normal * direction).sum(-1) > 0
    normal[away] *= -1
    return local, normal


def _unturn(vectors: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate (n, 3) vectors by minus the yaws whose cosines and sines are given."""
    x, y, z = vectors.T
    return np.stack([x * cos + y * sin, y * cos - x * sin, z], 1)
