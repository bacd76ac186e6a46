"""Draw the yaw_amplitude of a site, the objects along a stretch of its road, and the drive along it."""

from dataclasses import dataclass

import numpy as np

from sensorproof.data.simulator import objects
from sensorproof.data.simulator.array_types import Doubles, Random
from sensorproof.data.simulator.geometry import camera_to_world
from sensorproof.data.simulator.scene import Road, Scene, SceneObject, Style

_LANE = -1.7
"""Where the vehicle drives, in metres left of the centre line."""
_VIEW = 95.0
"""Metres ahead of the vehicle in which objects are placed."""
_CLEARANCE = 2.6
"""Metres that objects keep from the vehicle."""


@dataclass(frozen=True)
class Drive:
    """How the vehicle moves along one sequence; it sways a little, as vehicles do."""

    road: Road
    start: float
    """Metres along the road."""
    speed: float
    """Metres a second."""
    phases: tuple[float, float, float, float]
    """Of its swaying: sideways, yaw, pitch and roll, in radians."""
    yaw_amplitude: float
    """Of its slow turning against the road, in radians."""

    def pose(self, time: float) -> Doubles:
        """Return the pose of the camera in the world (4, 4) at `time` seconds."""
        a, b, c, d = self.phases
        s = self.start + self.speed * time
        x, y, heading = self.road.place(np.array(s), np.array(_LANE + 0.35 * np.sin(0.5 * time + a)))
        yaw = float(heading) + self.yaw_amplitude * np.sin(0.45 * time + b)
        return camera_to_world(float(x), float(y), yaw, 0.012 * np.sin(1.9 * time + c), 0.01 * np.sin(1.3 * time + d))


def make_style(rng: Random) -> Style:
    """Draw the look of a site."""
    grey = rng.uniform(0.07, 0.2)
    grass = np.array([0.07, 0.14, 0.035])
    ground = [grass, grass * 1.4, np.array([0.2, 0.17, 0.08]), np.array([0.2, 0.18, 0.155])][rng.integers(4)]
    leaves = [np.array([0.04, 0.11, 0.02]), np.array([0.07, 0.15, 0.03]), np.array([0.1, 0.15, 0.025])]
    # Brick and plaster: warm, as most facades are.
    facades = rng.uniform(0.2, 0.5, (5, 1)) * rng.uniform([0.95, 0.55, 0.3], [1.15, 0.8, 0.6], (5, 3))
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.0)
    low = int(rng.integers(1, 4))
    return Style(
        curve=(rng.uniform(0.5, 6), rng.uniform(90, 180), rng.uniform(0, 2 * np.pi)),
        road_half=rng.uniform(4.4, 5.8),
        sidewalk=rng.uniform(2.0, 4.0),
        verge=float(rng.choice([0.0, rng.uniform(1.0, 2.5)])),
        crossing=rng.uniform(45, 80),
        buildings=rng.uniform(0.45, 0.9),
        setback=rng.uniform(0.3, 5),
        storeys=(low, low + int(rng.integers(1, 4))),
        trees=rng.uniform(0.5, 1.3),
        bushes=rng.uniform(0.5, 1.5),
        parked=rng.uniform(0.1, 0.4),
        pedestrians=rng.uniform(1.2, 2.4),
        traffic=rng.uniform(1.5, 3.5),
        poles=rng.uniform(10, 16),
        road_colour=(grey * rng.uniform(0.95, 1.05, 3)).astype(np.float32),
        sidewalk_colour=(rng.uniform(0.25, 0.42) * rng.uniform([1, 0.9, 0.75], [1.08, 1, 1])).astype(np.float32),
        terrain_colour=(ground * rng.uniform(0.8, 1.2, 3)).astype(np.float32),
        foliage=(leaves[rng.integers(3)] * rng.uniform(0.8, 1.2, 3)).astype(np.float32),
        facades=facades.astype(np.float32),
        reflectivity=(rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.35), rng.uniform(0.2, 0.5)),
        air=rng.uniform(6, 22),
        sun=np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], np.float32
        ),
    )


def make_drive(style: Style, rng: Random) -> Drive:
    """Draw where on the road a sequence begins and how fast the vehicle drives."""
    a, b, c, d = rng.uniform(0, 2 * np.pi, 4)
    return Drive(Road(style), rng.uniform(0, 1000), rng.uniform(4, 8), (a, b, c, d), rng.uniform(0.05, 0.15))


def make_scene(drive: Drive, duration: float, rng: Random) -> Scene:
    """Place the objects along the stretch of road that a drive of `duration` seconds sees."""
    start, end = drive.start - 5, drive.start + drive.speed * duration + _VIEW
    road = drive.road
    placed = [*_frontage(road, start, end, rng), *_roadside(road, start, end, rng), *_traffic(drive, end, rng)]
    return Scene(road, tuple(item for item in placed if _stays_clear(item, drive, duration)))


def _frontage(road: Road, start: float, end: float, rng: Random) -> list[SceneObject]:
    """Place buildings, trees and bushes on both sides, none of them in a side street."""
    style, placed = road.style, []
    for side in (-1, 1):
        edge = style.road_half + style.verge + style.sidewalk
        s = start
        while s < end:
            length, depth = rng.uniform(7, 18), rng.uniform(6, 12)
            storeys = rng.integers(style.storeys[0], style.storeys[1] + 1)
            d = side * (edge + style.setback + depth / 2)
            clear = road.along_crossing(np.array(s + length / 2)) ** 2 > (length / 2 + 6) ** 2
            if rng.random() < style.buildings and clear:
                colour = style.facades[rng.integers(len(style.facades))]
                placed.append(
                    SceneObject(s + length / 2, d, objects.building(rng, length, depth, 3.1 * storeys, colour))
                )
            s += length + rng.uniform(0, 5)
        for s in _scatter(start, end, style.trees, rng):
            inner = (
                style.road_half + style.verge / 2 if style.verge and rng.random() < 0.5 else edge + rng.uniform(0.6, 4)
            )
            if abs(road.along_crossing(np.array(s))) > 6.5:
                placed.append(SceneObject(s, side * inner, objects.tree(rng, style.foliage), rng.uniform(0, 3)))
        for s in _scatter(start, end, style.bushes, rng):
            if abs(road.along_crossing(np.array(s))) > 6.5:
                placed.append(SceneObject(s, side * (edge + rng.uniform(0.8, 3.5)), objects.bush(rng, style.foliage)))
    return placed


def _roadside(road: Road, start: float, end: float, rng: Random) -> list[SceneObject]:
    """Place poles, signs and parked vehicles."""
    style, placed = road.style, []
    for side in (-1, 1):
        for s in np.arange(start + rng.uniform(0, style.poles), end, style.poles):
            d = side * (style.road_half + rng.uniform(0.3, 0.7))
            if abs(road.along_crossing(np.array(s))) > 3.8:
                turn = 0.0 if side < 0 else np.pi
                placed.append(SceneObject(s, d, objects.pole(rng, bool(rng.random() < 0.5)), turn))
        for s in np.arange(start + rng.uniform(0, 6), end, 6.2):
            if rng.random() < style.parked and abs(road.along_crossing(np.array(s))) > 7:
                turn = rng.normal(0, 0.04) + (0 if side < 0 else np.pi)
                placed.append(SceneObject(s, side * (style.road_half - 1.05), objects.vehicle(rng, False), turn))
    return placed


def _traffic(drive: Drive, end: float, rng: Random) -> list[SceneObject]:
    """Place vehicles in both lanes, and people on sidewalks and crossing the road."""
    style, placed = drive.road.style, []
    ahead = drive.start + rng.uniform(9, 22)
    while ahead < end:
        speed = drive.speed + rng.uniform(-0.3, 1.0)
        placed.append(SceneObject(ahead, _LANE, objects.vehicle(rng, True), 0, speed))
        ahead += rng.uniform(0.6, 1.4) * 100 / style.traffic
    oncoming = drive.start + rng.uniform(8, 30)
    while oncoming < end + 80:
        placed.append(SceneObject(oncoming, -_LANE, objects.vehicle(rng, True), np.pi, -rng.uniform(5, 9)))
        oncoming += rng.uniform(0.6, 1.4) * 100 / style.traffic
    for side in (-1, 1):
        for s in _scatter(drive.start, end, style.pedestrians, rng):
            d = side * (style.road_half + style.verge + rng.uniform(0.3, max(0.5, style.sidewalk - 0.3)))
            placed.append(SceneObject(s, d, objects.pedestrian(rng), rng.uniform(0, 6), rng.uniform(-1.5, 1.5)))
    for s in _scatter(drive.start, end, 0.25 * style.pedestrians, rng):
        d, speed = rng.uniform(-5, 5), float(rng.choice([-1, 1]) * rng.uniform(0.2, 1.2))
        placed.append(SceneObject(s, d, objects.pedestrian(rng), rng.uniform(0, 6), 0, speed))
    return placed


def _scatter(start: float, end: float, per_ten_metres: float, rng: Random) -> list[float]:
    """Draw places along the road, in metres, with the given mean density."""
    number = rng.poisson(per_ten_metres * (end - start) / 10)
    return [float(s) for s in rng.uniform(start, end, number)]


def _stays_clear(item: SceneObject, drive: Drive, duration: float) -> bool:
    """Return whether an object keeps its distance from the vehicle at all times."""
    reach = max(np.hypot(part.size[0], part.size[1]) for part in item.parts)
    time = np.linspace(0, duration, 60)
    s = item.s + item.along * time - drive.start - drive.speed * time
    d = item.d + item.sideways * time - _LANE
    wide = abs(item.d) > drive.road.style.road_half - 1.5 and not item.sideways
    if wide:
        return True
    # Oncoming traffic passes in its own lane; what is in the vehicle's lane must keep its distance.
    beside = np.abs(d) > _CLEARANCE
    return bool(np.all(beside | (np.abs(s) > _CLEARANCE + reach)))
