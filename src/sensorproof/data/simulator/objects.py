"""The objects of a scene, each built of a few primitives around its own foot. Sizes and looks are random."""

import numpy as np

from sensorproof.data.simulator.array_types import Random
from sensorproof.data.simulator.scene import Label, Part, Primitive, Shape

_PAINTS = np.array(
    [[0.03, 0.03, 0.035], [0.09, 0.09, 0.1], [0.3, 0.31, 0.32], [0.62, 0.62, 0.62], [0.35, 0.03, 0.03],
     [0.04, 0.08, 0.25], [0.05, 0.14, 0.07], [0.4, 0.3, 0.12]]
)  # fmt: skip
_CLOTHES = np.array(
    [[0.05, 0.06, 0.2], [0.5, 0.06, 0.05], [0.55, 0.3, 0.03], [0.45, 0.05, 0.3], [0.05, 0.3, 0.4],
     [0.6, 0.55, 0.05], [0.3, 0.08, 0.45], [0.55, 0.2, 0.2]]
)  # fmt: skip
_SKIN = np.array([[0.5, 0.3, 0.2], [0.3, 0.17, 0.1], [0.12, 0.07, 0.04]])
_METAL = (0.25, 0.25, 0.26)
_BARK = (0.07, 0.05, 0.035)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    """Return three numbers as a tuple of floats."""
    a, b, c = map(float, values)
    return a, b, c


def building(rng: Random, length: float, depth: float, height: float, colour: np.ndarray) -> tuple[Primitive, ...]:
    """Make a block whose front faces the road: length along the road, depth and height in metres."""
    shade = _triple(np.clip(colour * rng.uniform(0.8, 1.2), 0.01, 0.9))
    reflectivity = float(rng.uniform(0.2, 0.55))
    size = (length / 2, depth / 2, height / 2)
    return (
        Primitive(
            Shape.BOX, Label.BUILDING, (0, 0, height / 2), size, shade, Part.PLAIN, reflectivity, rng.uniform(0, 2)
        ),
    )


def tree(rng: Random, foliage: np.ndarray) -> tuple[Primitive, ...]:
    """Make a trunk and one to three ragged crowns."""
    height = rng.uniform(1.6, 2.8)
    thick = rng.uniform(0.1, 0.22)
    parts = [
        Primitive(Shape.CYLINDER, Label.VEGETATION, (0, 0, height / 2), (thick, thick, height / 2), _BARK, Part.TRUNK)
    ]
    for _ in range(rng.integers(1, 4)):
        radius = rng.uniform(0.9, 1.8)
        offset = (rng.normal(0, 0.5), rng.normal(0, 0.5), height + radius * rng.uniform(0.5, 1.2))
        size = (radius * rng.uniform(0.8, 1.2), radius * rng.uniform(0.8, 1.2), radius * rng.uniform(0.7, 1.1))
        parts.append(_crown(rng, offset, size, foliage))
    return tuple(parts)


def bush(rng: Random, foliage: np.ndarray) -> tuple[Primitive, ...]:
    """Make one or two ragged ellipsoids on the ground."""
    parts = []
    for _ in range(rng.integers(1, 3)):
        size = (rng.uniform(0.5, 1.3), rng.uniform(0.4, 0.9), rng.uniform(0.4, 1.0))
        parts.append(_crown(rng, (rng.normal(0, 0.6), rng.normal(0, 0.3), size[2] * 0.7), size, foliage))
    return tuple(parts)


def _crown(
    rng: Random, offset: tuple[float, float, float], size: tuple[float, float, float], foliage: np.ndarray
) -> Primitive:
    """Make an ellipsoid of leaves."""
    colour = _triple(np.clip(foliage * rng.uniform(0.7, 1.3, 3), 0.005, 0.9))
    return Primitive(Shape.ELLIPSOID, Label.VEGETATION, offset, size, colour, Part.CROWN, float(rng.uniform(0.35, 0.5)))


def vehicle(rng: Random, driven: bool) -> tuple[Primitive, ...]:
    """Make a car or, less often, a van; one that is driven has a warm engine."""
    van = rng.random() < 0.2
    length, width = rng.uniform(3.8, 4.8) + 1.2 * van, rng.uniform(1.7, 1.9)
    waist, roof = (1.2, 2.2) if van else (rng.uniform(0.8, 0.95), rng.uniform(1.4, 1.75))
    paint = _triple(_PAINTS[rng.integers(len(_PAINTS))] * rng.uniform(0.8, 1.2))
    shine = float(np.clip(0.08 + 0.6 * np.mean(paint) + rng.normal(0, 0.06), 0.04, 0.7))
    warmth = float(rng.uniform(7, 13)) if driven else float(rng.choice([0.0, 0.0, 4.0]))
    body = Primitive(
        Shape.BOX, Label.VEHICLE, (0, 0, 0.15 + (waist - 0.15) / 2), (length / 2, width / 2, (waist - 0.15) / 2),
        paint, Part.BODY, shine, warmth,
    )  # fmt: skip
    share = 0.42 if van else rng.uniform(0.26, 0.32)
    cabin = Primitive(
        Shape.BOX, Label.VEHICLE, (-0.3 * (not van), 0, (waist + roof) / 2),
        (length * share, width * 0.44, (roof - waist) / 2), paint, Part.CABIN, shine, 0.3 * warmth,
    )  # fmt: skip
    return body, cabin


def pedestrian(rng: Random) -> tuple[Primitive, ...]:
    """Make legs, torso and head of a person of 1.45 to 1.95 m."""
    tall = rng.uniform(1.45, 1.95) / 1.75
    shirt, trousers = _CLOTHES[rng.integers(len(_CLOTHES), size=2)]
    skin = _triple(_SKIN[rng.integers(len(_SKIN))])
    dull = float(rng.uniform(0.12, 0.6))
    wide = rng.uniform(0.9, 1.2)
    return (
        Primitive(
            Shape.CYLINDER, Label.PEDESTRIAN, (0, 0, 0.43 * tall), (0.15 * wide, 0.17 * wide, 0.43 * tall),
            _triple(trousers), Part.LEGS, dull, 4.0,
        ),
        Primitive(
            Shape.ELLIPSOID, Label.PEDESTRIAN, (0, 0, 1.13 * tall), (0.19 * wide, 0.27 * wide, 0.37 * tall),
            _triple(shirt), Part.TORSO, float(rng.uniform(0.12, 0.6)), 6.0,
        ),
        Primitive(
            Shape.ELLIPSOID, Label.PEDESTRIAN, (0, 0, 1.61 * tall), (0.11, 0.1, 0.14),
            skin, Part.HEAD, 0.4, 14.0,
        ),
    )  # fmt: skip


def pole(rng: Random, sign: bool) -> tuple[Primitive, ...]:
    """Make a lamp post, or a lower post with a retro-reflecting sign that faces traffic."""
    height = rng.uniform(2.4, 3.0) if sign else rng.uniform(4.5, 6.5)
    thick = rng.uniform(0.05, 0.08) if sign else rng.uniform(0.09, 0.15)
    post = Primitive(
        Shape.CYLINDER, Label.POLE, (0, 0, height / 2), (thick, thick, height / 2), _METAL, Part.PLAIN,
        float(rng.uniform(0.25, 0.5)),
    )  # fmt: skip
    if not sign:
        return (post,)
    wide, high = rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    colours = np.array([[0.55, 0.05, 0.05], [0.05, 0.12, 0.45], [0.7, 0.7, 0.7], [0.6, 0.45, 0.03]])
    plate = Primitive(
        Shape.BOX, Label.POLE, (-0.09, 0, height - high / 2), (0.02, wide, high),
        _triple(colours[rng.integers(len(colours))]), Part.SIGN, 1.0,
    )  # fmt: skip
    return post, plate
