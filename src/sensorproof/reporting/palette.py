"""Colours of classes: the same class has the same colour in every report."""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]

KNOWN = {
    "road": "#6d6875", "sidewalk": "#e08bc0", "terrain": "#a8c66c", "grass": "#a8c66c", "building": "#b0704a",
    "wall": "#8a94a6", "fence": "#c9a87c", "vegetation": "#3d8b3d", "tree": "#3d8b3d", "vehicle": "#2f55c8",
    "car": "#2f55c8", "truck": "#1e3a8a", "bus": "#0f766e", "train": "#155e75", "motorcycle": "#7c3aed",
    "bicycle": "#a21caf", "rider": "#fb7185", "pedestrian": "#e5322d", "person": "#e5322d", "pole": "#f2c230",
    "traffic light": "#f97316", "traffic sign": "#fde047", "sky": "#86c5ee", "water": "#38bdf8",
    "pothole": "#e5322d", "background": "#6d6875",
}  # fmt: skip
"""Things that people expect in a certain colour."""
_OTHERS = (
    "#2f55c8", "#f2c230", "#e5322d", "#3d8b3d", "#8e44ad", "#f97316", "#22b8cf", "#e08bc0", "#b0704a", "#a8c66c",
    "#6d6875", "#0f766e", "#86c5ee", "#a21caf", "#c9a87c", "#1e3a8a", "#fb7185", "#7f1d1d",
)  # fmt: skip
_GOLDEN = 0.618033988749895
"""Steps of this share of the colour circle never come near one another for long."""


def class_colors(names: Sequence[str]) -> list[str]:
    """One colour (#rrggbb) per class, no two alike: the expected one, else the next that is free."""
    wanted = [KNOWN.get(name.lower().replace("_", " ")) for name in names]
    first = [c if c is not None and c not in wanted[:i] else None for i, c in enumerate(wanted)]
    taken = {c for c in first if c is not None}
    colors = []
    for color in first:
        if color is None:
            color = next(c for c in _spares(len(names)) if c not in taken)
            taken.add(color)
        colors.append(color)
    return colors


def _spares(count: int) -> list[str]:
    """List the colours of _OTHERS, and after them as many hues as could be needed."""
    hues = []
    for k in range(4 * count + 64):
        lightness, saturation = (0.35, 0.5, 0.65)[k % 3], (0.9, 0.6)[k // 3 % 2]
        rgb = colorsys.hls_to_rgb(k * _GOLDEN % 1, lightness, saturation)
        hues.append("#" + "".join(f"{round(255 * v):02x}" for v in rgb))
    return [*_OTHERS, *hues]


def rgb_table(colors: Sequence[str]) -> NDArray[np.uint8]:
    """(K, 3) of #rrggbb."""
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors], dtype=np.uint8)
