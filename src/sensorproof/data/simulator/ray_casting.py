"""Ray casting, vectorised over the rays: what each ray of a grid meets first."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.geometry import Doubles, inverse, move
from sensorproof.data.simulator.scene import KERB_HEIGHT, Floats, Label, Part, Primitives, Road, Scene, Shape
from sensorproof.data.simulator.texture import noise

_GROUND = -1
SKY = -2
_FAR = 160.0
"""Metres beyond which nothing is met."""


class _Rays(Protocol):
    """A grid of rays that can tell which of them may meet a box."""

    def rays(self) -> Floats: ...

    def windows(self, corners: Floats) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Hits:
    """What each ray of a grid (H, W) meets.

    `distance` in metres, infinite for the sky; `index` of the primitive, GROUND or SKY; `point` (H, W, 3) in the
    world, `local` in the frame of the thing that is met (the world's for the ground); `normal` faces the ray.
    """

    distance: Floats
    index: NDArray[np.int32]
    label: NDArray[np.uint8]
    point: Floats
    local: Floats
    normal: Floats
    direction: Floats
    primitives: Primitives
    road: Road

    @property
    def incidence(self) -> Floats:
        """Cosine between ray and surface normal, 0 for the sky."""
        return np.abs((self.normal * self.direction).sum(-1))

    def of(self, values: NDArray, otherwise: float) -> NDArray:
        """A value of each ray's primitive, `otherwise` for ground and sky."""
        padded = np.concatenate([values, np.full((1, *values.shape[1:]), otherwise, values.dtype)])
        return padded[np.where(self.index < 0, len(values), self.index)]


def cast(scene: Scene, time: float, grid: _Rays, pose: Doubles) -> Hits:
    """Cast the grid's rays from `pose` (4 x 4, sensor to world) into the scene at `time` seconds."""
    origin = pose[:3, 3].astype(np.float32)
    direction = (grid.rays() @ pose[:3, :3].T.astype(np.float32)).astype(np.float32)
    everything = scene.at(time)
    near = np.linalg.norm(everything.centre - origin, axis=1) < _FAR
    primitives = everything.subset(near)
    distance, index, ground = _cast_ground(scene.road, origin, direction)
    windows = grid.windows(move(inverse(pose), primitives.corners().astype(np.float64)).astype(np.float32))
    for k, (top, bottom, left, right) in enumerate(windows):
        if bottom <= top or right <= left:
            continue
        area = (slice(top, bottom), slice(left, right))
        reached = meet(primitives, k, origin, direction[area])
        closer = reached < distance[area]
        distance[area][closer] = reached[closer]
        index[area][closer] = k
    point = origin + direction * np.where(np.isfinite(distance), distance, 0)[..., None]
    local, normal = surfaces(primitives, index, point, direction)
    bare = Hits(distance, index, ground, point, local, normal, direction, primitives, scene.road)
    label = np.where(index >= 0, bare.of(primitives.label, 0), ground)
    return Hits(distance, index, label, point, local, normal, direction, primitives, scene.road)


def _cast_ground(road: Road, origin: Floats, direction: Floats) -> tuple[Floats, NDArray[np.int32], NDArray[np.uint8]]:
    """Distance, index (GROUND or SKY) and label. The ground is a plane, raised by a kerb beside the road."""
    down = direction[..., 2] < -1e-4
    slope = np.where(down, direction[..., 2], -1.0)
    raised = (KERB_HEIGHT - origin[2]) / slope
    flat = -origin[2] / slope
    above = origin + direction * raised[..., None]
    below = origin + direction * flat[..., None]
    upper, lower = road.ground(above[..., 0], above[..., 1]), road.ground(below[..., 0], below[..., 1])
    # A ray that misses the raised ground but comes down beneath it has met the kerb's face.
    on_road = (upper == Label.ROAD) & (lower == Label.ROAD)
    label = np.where(on_road, Label.ROAD, np.where(upper == Label.ROAD, lower, upper))
    rough = label == Label.TERRAIN
    bumps = np.where(rough, 0.05 * noise(above, 0.8), 0)
    distance = np.where(on_road, flat, raised * (1 - bumps / (origin[2] - KERB_HEIGHT)))
    met = down & (distance < _FAR)
    return (
        np.where(met, distance, np.inf).astype(np.float32),
        np.where(met, _GROUND, SKY).astype(np.int32),
        np.where(met, label, Label.SKY).astype(np.uint8),
    )


def meet(primitives: Primitives, k: int, origin: Floats, direction: Floats) -> Floats:
    """Distance (h, w) at which rays meet primitive k, infinite where they miss it."""
    cos, sin = np.cos(primitives.yaw[k]), np.sin(primitives.yaw[k])
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32) / primitives.size[k][:, None]
    start = turn @ (origin - primitives.centre[k])
    rays = direction @ turn.T
    shape = primitives.shape[k]
    if shape == Shape.BOX:
        return _meet_box(start, rays)
    if shape == Shape.CYLINDER:
        return _meet_cylinder(start, rays)
    reached = _meet_sphere(start, rays)
    if primitives.part[k] == Part.CROWN:
        # Leaves: holes in the crown, the more so at its rim.
        unit = start + rays * np.where(np.isfinite(reached), reached, 0)[..., None]
        graze = 1 - np.abs((unit * rays).sum(-1)) / np.maximum(np.linalg.norm(rays, axis=-1), 1e-6)
        leaves = noise(unit * primitives.size[k], 0.5, int(primitives.seed[k]))
        reached = np.where(leaves + 2.2 * graze > 2.0, np.inf, reached)
    return reached


def _meet_box(start: Floats, rays: Floats) -> Floats:
    """Unit cube [-1, 1]³ by slabs."""
    safe = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    a, b = (-1 - start) / safe, (1 - start) / safe
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf).astype(np.float32)


def _meet_sphere(start: Floats, rays: Floats) -> Floats:
    """Unit sphere."""
    a, b, c = (rays * rays).sum(-1), rays @ start, start @ start - 1
    root = b * b - a * c
    reached = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (reached > 0), reached, np.inf).astype(np.float32)


def _meet_cylinder(start: Floats, rays: Floats) -> Floats:
    """Upright unit cylinder, z in [-1, 1], with its upper lid."""
    flat = rays[..., :2]
    a, b, c = np.maximum((flat * flat).sum(-1), 1e-12), flat @ start[:2], start[:2] @ start[:2] - 1
    root = b * b - a * c
    side = (-b - np.sqrt(np.maximum(root, 0))) / a
    z = start[2] + rays[..., 2] * side
    side = np.where((root > 0) & (side > 0) & (np.abs(z) <= 1), side, np.inf)
    lid = (1 - start[2]) / np.where(np.abs(rays[..., 2]) < 1e-9, 1e-9, rays[..., 2])
    inside = ((start[:2] + flat * lid[..., None]) ** 2).sum(-1) <= 1
    return np.minimum(side, np.where((lid > 0) & inside, lid, np.inf)).astype(np.float32)


def surfaces(
    primitives: Primitives, index: NDArray[np.int32], point: Floats, direction: Floats
) -> tuple[Floats, Floats]:
    """Points in the frames of their things, and normals, both (H, W, 3); the ground's normal is up."""
    local, normal = point.copy(), np.zeros_like(point)
    normal[..., 2] = index == _GROUND
    met = index >= 0
    k = index[met]
    cos, sin = np.cos(primitives.yaw[k]), np.sin(primitives.yaw[k])
    local[met] = _unturn(point[met] - primitives.base[k], cos, sin)
    unit = _unturn(point[met] - primitives.centre[k], cos, sin) / primitives.size[k]
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
    normal[met] = _unturn(own, cos, -sin)
    away = (normal * direction).sum(-1) > 0
    normal[away] *= -1
    return local, normal


def _unturn(vectors: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate (n, 3) vectors by minus the yaws whose cosines and sines are given."""
    x, y, z = vectors.T
    return np.stack([x * cos + y * sin, y * cos - x * sin, z], 1)
