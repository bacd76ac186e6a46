"""What a scene consists of: the classes, the road with its ground, and objects made of simple primitives."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.array_types import Floats, Ints


class Label(IntEnum):
    """The classes of the embedded data, with their values in the labels."""

    ROAD = 0
    SIDEWALK = 1
    TERRAIN = 2
    BUILDING = 3
    VEGETATION = 4
    VEHICLE = 5
    PEDESTRIAN = 6
    POLE = 7
    SKY = 8


KERB_HEIGHT = 0.12
"""Metres by which everything but the road is raised."""


class Shape(IntEnum):
    """The shapes of primitives."""

    BOX = 0
    ELLIPSOID = 1
    CYLINDER = 2


class Part(IntEnum):
    """What a primitive is on its object, where the class alone does not decide its look."""

    PLAIN = 0
    CROWN = 1
    TRUNK = 2
    BODY = 3
    CABIN = 4
    SIGN = 5
    HEAD = 6
    TORSO = 7
    LEGS = 8


@dataclass(frozen=True)
class Style:
    """The look of a site. Lengths in metres, temperatures in °C, reflectivities as a share, colours in linear RGB."""

    curve: tuple[float, float, float]
    """Amplitude, wavelength and phase of the road's curves."""
    road_half: float
    """Half of the road's width."""
    sidewalk: float
    """Width."""
    verge: float
    """Width of the strip of terrain between road and sidewalk; 0 for none."""
    crossing: float
    """Distance between side streets."""
    buildings: float
    """Share of the road's sides that is built on."""
    setback: float
    """Distance between sidewalk and buildings."""
    storeys: tuple[int, int]
    """Fewest and most."""
    trees: float
    """Per ten metres of each side."""
    bushes: float
    """Per ten metres of each side."""
    parked: float
    """Share of the parking spaces that are taken."""
    pedestrians: float
    """Per ten metres of each side."""
    traffic: float
    """Moving vehicles per hundred metres of each lane."""
    poles: float
    """Distance between poles."""
    road_colour: Floats
    sidewalk_colour: Floats
    terrain_colour: Floats
    foliage: Floats
    facades: Floats
    """(n, 3), to choose from."""
    reflectivity: tuple[float, float, float]
    """Of road, sidewalk and terrain for the laser."""
    air: float
    """Temperature by day; other conditions are colder."""
    sun: Floats
    """Unit vector towards the sun."""


@dataclass(frozen=True)
class Road:
    """The ground: a curved road on a plane, with side streets, sidewalks and terrain."""

    style: Style

    def centre(self, s: NDArray) -> NDArray:
        """Return y of the centre line at s metres along x."""
        amplitude, length, phase = self.style.curve
        return np.asarray(amplitude * np.sin(2 * np.pi * s / length + phase))

    def heading(self, s: NDArray) -> NDArray:
        """Return the direction of the centre line at s metres along x, in radians from the x axis."""
        amplitude, length, phase = self.style.curve
        return np.arctan(amplitude * 2 * np.pi / length * np.cos(2 * np.pi * s / length + phase))

    def place(self, s: NDArray, d: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return x, y and heading, in the world, of the point d metres left of the centre line at s."""
        heading = self.heading(s)
        return s - d * np.sin(heading), self.centre(s) + d * np.cos(heading), heading

    def across(self, x: NDArray, y: NDArray) -> NDArray:
        """Return about how far (x, y) lies left of the centre line, in metres."""
        return np.asarray((y - self.centre(x)) * np.cos(self.heading(x)))

    def along_crossing(self, x: NDArray) -> NDArray:
        """Return the signed distance along x to the middle of the nearest side street, in metres."""
        gap = self.style.crossing
        return np.asarray((x + gap / 2) % gap - gap / 2)

    def ground(self, x: NDArray, y: NDArray) -> NDArray[np.uint8]:
        """Return the label of the ground at (x, y)."""
        style, d, side = self.style, np.abs(self.across(x, y)), np.abs(self.along_crossing(x))
        inner = style.road_half + style.verge
        label = np.full(d.shape, Label.TERRAIN, np.uint8)
        label[(d >= inner) & (d < inner + style.sidewalk)] = Label.SIDEWALK
        label[(side < 5.2) & (side >= 3.4) & (d >= style.road_half)] = Label.SIDEWALK
        label[(d < style.road_half) | (side < 3.4)] = Label.ROAD
        return label


@dataclass(frozen=True)
class Primitives:
    """N primitives at one time, in arrays of length N; metres and radians, world frame."""

    shape: Ints
    """(N,) values of Shape."""
    centre: Floats
    """(N, 3)."""
    size: Floats
    """(N, 3), half of the extent along each of its own axes."""
    yaw: Floats
    """(N,)."""
    base: Floats
    """(N, 3), the foot of the object that the primitive belongs to; with the yaw it is the frame of its texture."""
    label: NDArray[np.uint8]
    """(N,) values of Label."""
    part: Ints
    """(N,) values of Part."""
    colour: Floats
    """(N, 3), linear RGB."""
    reflectivity: Floats
    """(N,), for the laser, as a share."""
    warmth: Floats
    """(N,), kelvin by its own heat."""
    seed: Ints
    """(N,), the number of the object, for its texture."""

    def corners(self) -> Floats:
        """Return the corners of the bounding boxes (N, 8, 3)."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T.astype(np.float32)
        local = self.size[:, None] * signs
        cos, sin = np.cos(self.yaw)[:, None], np.sin(self.yaw)[:, None]
        x, y = local[..., 0] * cos - local[..., 1] * sin, local[..., 0] * sin + local[..., 1] * cos
        return self.centre[:, None] + np.stack([x, y, local[..., 2]], -1)

    def subset(self, keep: NDArray) -> "Primitives":
        """Return the primitives that `keep` (a mask or indices) selects."""
        return Primitives(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Primitive:
    """One primitive of an object, in the object's own frame: x forward, y left, z up, metres."""

    shape: Shape
    label: Label
    offset: tuple[float, float, float]
    """The centre."""
    size: tuple[float, float, float]
    """Half of the extent along each axis."""
    colour: tuple[float, float, float]
    """Linear RGB."""
    part: Part = Part.PLAIN
    reflectivity: float = 0.3
    """For the laser, as a share."""
    warmth: float = 0.0
    """Kelvin by its own heat."""


@dataclass(frozen=True)
class SceneObject:
    """A group of primitives that stands or moves; s and d place its foot on the road, in metres."""

    s: float
    """Along the road."""
    d: float
    """Left of the centre line."""
    parts: tuple[Primitive, ...]
    turn: float = 0.0
    """Yaw against the road's heading, in radians."""
    along: float = 0.0
    """Speed along the road, in m/s."""
    sideways: float = 0.0
    """Speed to the left, in m/s."""


@dataclass(frozen=True)
class Scene:
    """The world along one sequence, at any time."""

    road: Road
    objects: tuple[SceneObject, ...]

    def at(self, time: float) -> Primitives:
        """Return all primitives at `time` seconds after the start of the sequence."""
        number = np.array([len(item.parts) for item in self.objects])
        s, d, turn, along, sideways = np.array([(o.s, o.d, o.turn, o.along, o.sideways) for o in self.objects]).T
        x, y, heading = self.road.place(s + along * time, d + sideways * time)
        ground = np.where(self.road.ground(x, y) == Label.ROAD, 0.0, KERB_HEIGHT)
        owner = np.repeat(np.arange(len(self.objects)), number)
        parts = [part for item in self.objects for part in item.parts]
        yaw = (heading + turn)[owner]
        base = np.stack([x, y, ground], 1)[owner]
        offset = np.array([p.offset for p in parts])
        cos, sin = np.cos(yaw), np.sin(yaw)
        shifted = np.stack(
            [offset[:, 0] * cos - offset[:, 1] * sin, offset[:, 0] * sin + offset[:, 1] * cos, offset[:, 2]], 1
        )
        return Primitives(
            shape=np.array([p.shape for p in parts]),
            centre=(base + shifted).astype(np.float32),
            size=np.array([p.size for p in parts], np.float32),
            yaw=yaw.astype(np.float32),
            base=base.astype(np.float32),
            label=np.array([p.label for p in parts], np.uint8),
            part=np.array([p.part for p in parts]),
            colour=np.array([p.colour for p in parts], np.float32),
            reflectivity=np.array([p.reflectivity for p in parts], np.float32),
            warmth=np.array([p.warmth for p in parts], np.float32),
            seed=owner,
        )
