"""What a scene consists of: classes, the road and its ground, and things made of boxes, ellipsoids and cylinders."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Ints = NDArray[np.int64]


class Label(IntEnum):
    """The classes of the embedded data; the values are the label images'."""

    ROAD = 0
    SIDEWALK = 1
    TERRAIN = 2
    BUILDING = 3
    VEGETATION = 4
    VEHICLE = 5
    PEDESTRIAN = 6
    POLE = 7
    SKY = 8


IGNORE = 255
KERB_HEIGHT = 0.12


class Shape(IntEnum):
    BOX = 0
    ELLIPSOID = 1
    CYLINDER = 2


class Part(IntEnum):
    """What a primitive is on its thing, where the class alone does not tell its looks."""

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
    """What makes a site. Lengths in metres, temperatures in °C, reflectivities as a share, colours linear RGB."""

    curve: tuple[float, float, float]
    """Amplitude, wavelength and phase of the winding of the road."""
    road_half: float
    sidewalk: float
    verge: float
    """Width of the strip of terrain between road and sidewalk; 0 for none."""
    crossing: float
    """Distance between side streets."""
    buildings: float
    """Share of the frontage that is built on."""
    setback: float
    storeys: tuple[int, int]
    trees: float
    """Per ten metres of each side; so are the next three."""
    bushes: float
    parked: float
    pedestrians: float
    traffic: float
    """Moving vehicles per hundred metres of each lane."""
    poles: float
    """Distance between poles."""
    road_colour: Floats
    sidewalk_colour: Floats
    terrain_colour: Floats
    foliage: Floats
    facades: Floats
    """(n, 3)."""
    reflectivity: tuple[float, float, float]
    """Of road, sidewalk and terrain for the laser."""
    air: float
    """By day; other conditions are colder."""
    sun: Floats
    """Unit vector towards it."""


@dataclass(frozen=True)
class Road:
    """The ground: a winding road on a plane, with side streets, sidewalks and terrain."""

    style: Style

    def centre(self, s: NDArray) -> NDArray:
        """Lateral place of the centre line at s metres along x."""
        amplitude, length, phase = self.style.curve
        return np.asarray(amplitude * np.sin(2 * np.pi * s / length + phase))

    def heading(self, s: NDArray) -> NDArray:
        amplitude, length, phase = self.style.curve
        return np.arctan(amplitude * 2 * np.pi / length * np.cos(2 * np.pi * s / length + phase))

    def place(self, s: NDArray, d: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """World x, y and heading of the point d metres left of the centre line."""
        heading = self.heading(s)
        return s - d * np.sin(heading), self.centre(s) + d * np.cos(heading), heading

    def across(self, x: NDArray, y: NDArray) -> NDArray:
        """About how far (x, y) lies left of the centre line, metres."""
        return np.asarray((y - self.centre(x)) * np.cos(self.heading(x)))

    def along_crossing(self, x: NDArray) -> NDArray:
        """Distance along x to the middle of the nearest side street."""
        gap = self.style.crossing
        return np.asarray((x + gap / 2) % gap - gap / 2)

    def ground(self, x: NDArray, y: NDArray) -> NDArray[np.uint8]:
        """Label of the ground at (x, y)."""
        style, d, side = self.style, np.abs(self.across(x, y)), np.abs(self.along_crossing(x))
        inner = style.road_half + style.verge
        label = np.full(d.shape, Label.TERRAIN, np.uint8)
        label[(d >= inner) & (d < inner + style.sidewalk)] = Label.SIDEWALK
        label[(side < 5.2) & (side >= 3.4) & (d >= style.road_half)] = Label.SIDEWALK
        label[(d < style.road_half) | (side < 3.4)] = Label.ROAD
        return label


@dataclass(frozen=True)
class Primitives:
    """N primitives at one instant. Arrays of length N; centre and size (half extents) in metres, world frame."""

    shape: _Ints
    centre: Floats
    size: Floats
    yaw: Floats
    base: Floats
    """(N, 3) foot of the thing that the primitive belongs to, with its yaw: the frame of its texture."""
    label: NDArray[np.uint8]
    part: _Ints
    colour: Floats
    reflectivity: Floats
    warmth: Floats
    """Kelvin of heat of its own."""
    seed: _Ints

    def corners(self) -> Floats:
        """(N, 8, 3) corners of the bounding boxes."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T.astype(np.float32)
        local = self.size[:, None] * signs
        cos, sin = np.cos(self.yaw)[:, None], np.sin(self.yaw)[:, None]
        x, y = local[..., 0] * cos - local[..., 1] * sin, local[..., 0] * sin + local[..., 1] * cos
        return self.centre[:, None] + np.stack([x, y, local[..., 2]], -1)

    def subset(self, keep: NDArray) -> "Primitives":
        """Those that keep (mask or indices) selects."""
        return Primitives(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Thing:
    """A movable group of primitives. s and d place its foot on the road, in metres; speeds in m/s."""

    s: float
    d: float
    parts: tuple["Piece", ...]
    turn: float = 0.0
    """Yaw against the road's heading."""
    along: float = 0.0
    sideways: float = 0.0


@dataclass(frozen=True)
class Piece:
    """One primitive of a thing: offset of its centre and half extents in the thing's own frame, metres."""

    shape: Shape
    label: Label
    offset: tuple[float, float, float]
    size: tuple[float, float, float]
    colour: tuple[float, float, float]
    part: Part = Part.PLAIN
    reflectivity: float = 0.3
    warmth: float = 0.0


@dataclass(frozen=True)
class Scene:
    """The world along one sequence, at any time."""

    road: Road
    things: tuple[Thing, ...]

    def at(self, time: float) -> Primitives:
        """All primitives at `time` seconds after the start of the sequence."""
        number = np.array([len(thing.parts) for thing in self.things])
        s, d, turn, along, sideways = np.array([(t.s, t.d, t.turn, t.along, t.sideways) for t in self.things]).T
        x, y, heading = self.road.place(s + along * time, d + sideways * time)
        ground = np.where(self.road.ground(x, y) == Label.ROAD, 0.0, KERB_HEIGHT)
        owner = np.repeat(np.arange(len(self.things)), number)
        pieces = [piece for thing in self.things for piece in thing.parts]
        yaw = (heading + turn)[owner]
        base = np.stack([x, y, ground], 1)[owner]
        offset = np.array([p.offset for p in pieces])
        cos, sin = np.cos(yaw), np.sin(yaw)
        shifted = np.stack(
            [offset[:, 0] * cos - offset[:, 1] * sin, offset[:, 0] * sin + offset[:, 1] * cos, offset[:, 2]], 1
        )
        return Primitives(
            shape=np.array([p.shape for p in pieces]),
            centre=(base + shifted).astype(np.float32),
            size=np.array([p.size for p in pieces], np.float32),
            yaw=yaw.astype(np.float32),
            base=base.astype(np.float32),
            label=np.array([p.label for p in pieces], np.uint8),
            part=np.array([p.part for p in pieces]),
            colour=np.array([p.colour for p in pieces], np.float32),
            reflectivity=np.array([p.reflectivity for p in pieces], np.float32),
            warmth=np.array([p.warmth for p in pieces], np.float32),
            seed=owner,
        )
