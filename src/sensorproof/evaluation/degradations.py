"""Sensors that get worse by degrees: degradations of prepared images, in five severities, by the kind of the sensor.

Motion blur and the texture of fog are kornia's; the formula of fog and its severities are those of ImageNet-C
(Hendrycks & Dietterich, ICLR 2019). The kinds of failure are DELIVER's (Zhang et al., CVPR 2023): motion blur, over-
and under-exposure, LiDAR jitter, low resolution of the event camera; and drop-out of returns (Robo3D, Kong et al.,
ICCV 2023). Frozen and delayed frames show another image of the stream; see `earlier_place`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SEVERITIES: Final = (1, 2, 3, 4, 5)
Image = NDArray[np.float32]
"""(C, H, W): shares of the sensor's range, NaN where invalid."""
Degradation = Callable[[Image, int, np.random.Generator], Image]
"""Degrades one image at a severity of SEVERITIES; the random numbers do not depend on the severity."""

_BLUR = (0.02, 0.04, 0.06, 0.09, 0.12)
"""Length of the blur, as a share of the width."""
_BRIGHTER, _DARKER = (1.5, 2.0, 3.0, 4.5, 6.0), (0.5, 0.3, 0.18, 0.1, 0.06)
"""Factor on the light; the last are those of the embedded data."""
_GAMMA, _STEPS = 2.2, 255
"""Of an image's values to light, and the steps that an underexposed image is stored with."""
_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
"""(thickness, decay of the texture from scale to scale)."""
_JITTER = (0.005, 0.01, 0.02, 0.03, 0.05)
"""Standard deviation of the way that a return moves, as a share of the width."""
_LOST = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Share of the returns, or events."""
_COARSER = (2, 4, 6, 8, 12)
"""Pixels that become one, along each side."""
_STRIPES = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Standard deviation of a column's offset, as a share of that of the image."""
_FALSE_EVENTS = (0.01, 0.03, 0.06, 0.1, 0.2)
"""Share of the pixels."""
HELD: Final = (2, 3, 4, 6, 8)
"""Frames that a frozen image stands for."""
LATE: Final = (1, 2, 3, 4, 6)
"""Frames that a delayed image is behind."""


def _filled(image: Image) -> tuple[Image, NDArray[np.bool_]]:
    """Return an image whose invalid pixels are the mean of the others, and which are valid."""
    valid = np.isfinite(image)
    mean = np.float32(image[valid].mean()) if valid.any() else np.float32(0)
    return np.where(valid, image, mean).astype(np.float32), valid


def _again(values: Image, valid: NDArray[np.bool_]) -> Image:
    return np.where(valid, values, np.float32(np.nan)).astype(np.float32)


def _motion_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    import torch
    from kornia.filters import motion_blur  # not at the top: it takes a second

    filled, valid = _filled(image)
    side = max(3, 2 * round(_BLUR[severity - 1] * image.shape[2] / 2) + 1)
    blurred = motion_blur(
        torch.from_numpy(filled)[None], side, float(rng.uniform(0, 180)), 0.0, "replicate", "bilinear"
    )
    return _again(blurred[0].numpy(), valid)


def _over_expose(image: Image, severity: int, rng: np.random.Generator) -> Image:
    light = np.clip(image, 0, None) ** _GAMMA * _BRIGHTER[severity - 1]
    return (np.clip(light, 0, 1) ** (1 / _GAMMA)).astype(np.float32)


def _under_expose(image: Image, severity: int, rng: np.random.Generator) -> Image:
    light = np.clip(image, 0, None) ** _GAMMA * _DARKER[severity - 1]
    return (np.round(light ** (1 / _GAMMA) * _STEPS) / _STEPS).astype(np.float32)


def _fog(image: Image, severity: int, rng: np.random.Generator) -> Image:
    import torch
    from kornia.contrib import diamond_square

    thickness, decay = _FOG[severity - 1]
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    texture = diamond_square(
        (1, 1, *image.shape[1:]),
        roughness=1 / decay,
        random_fn=lambda size, device, dtype: torch.rand(size, generator=generator),
        normalize_range=(0, 1),
    )[0].numpy()
    brightest = np.nanmax(image, initial=0)
    return np.clip((image + thickness * texture) * brightest / (brightest + thickness), 0, 1).astype(np.float32)


def _jitter(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Show at each place the return of a place nearby."""
    height, width = image.shape[1:]
    way = rng.standard_normal((2, height, width)) * _JITTER[severity - 1] * width
    y, x = np.rint(np.mgrid[:height, :width] + way).astype(int)
    return image[:, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


def _lose_returns(image: Image, severity: int, rng: np.random.Generator) -> Image:
    lost = rng.random(image.shape[1:], dtype=np.float32) < _LOST[severity - 1]
    return np.where(lost, np.float32(np.nan), image)


def _coarsen(image: Image, severity: int, rng: np.random.Generator) -> Image:
    filled, valid = _filled(image)
    height, width = image.shape[1:]
    small = (max(1, width // _COARSER[severity - 1]), max(1, height // _COARSER[severity - 1]))
    coarse = [
        cv2.resize(cv2.resize(channel, small, interpolation=cv2.INTER_AREA), (width, height)) for channel in filled
    ]
    return _again(np.stack(coarse), valid)


def _stripe(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Add an offset to every column, as an uncooled thermal camera does that is not calibrated."""
    offsets = rng.standard_normal(image.shape[2]) * _STRIPES[severity - 1] * np.nanstd(image)
    return (image + offsets).astype(np.float32)


def _lose_events(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Show the commonest value, which is that of no event."""
    lost = rng.random(image.shape[1:], dtype=np.float32) < _LOST[severity - 1]
    return np.where(lost & np.isfinite(image), np.float32(np.nanmedian(image)), image)


def _add_events(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Show the lowest or the highest value at random places: background activity."""
    draw = rng.random(image.shape[1:], dtype=np.float32) / _FALSE_EVENTS[severity - 1]
    noisy = np.where(draw < 0.5, np.nanmin(image), np.where(draw < 1, np.nanmax(image), image))
    return np.where(np.isfinite(image), noisy, image).astype(np.float32)


_OPTICAL: Final[Mapping[str, Degradation]] = {
    "motion_blur": _motion_blur,
    "over_exposure": _over_expose,
    "under_exposure": _under_expose,
    "fog": _fog,
}
_RETURNS: Final[Mapping[str, Degradation]] = {"jitter": _jitter, "returns_lost": _lose_returns}
DEGRADATIONS: Final[Mapping[str, Mapping[str, Degradation]]] = {
    "camera": _OPTICAL,
    "nir": _OPTICAL,
    "polarization": _OPTICAL,
    "thermal": {"motion_blur": _motion_blur, "low_resolution": _coarsen, "stripes": _stripe},
    "event": {"low_resolution": _coarsen, "events_lost": _lose_events, "false_events": _add_events},
    "depth": _RETURNS,
    "lidar": _RETURNS,
    "radar": _RETURNS,
    "other": {"low_resolution": _coarsen},
}
"""{kind of sensor: {name: degradation}}, besides those of STREAM."""
STREAM: Final[Mapping[str, tuple[int, ...]]] = {"frozen": HELD, "delayed": LATE}
"""{name: frames at each severity}: an earlier image of the stream is shown, whatever the sensor."""


def degradation_names(kind: str) -> tuple[str, ...]:
    """Name the degradations of a kind of sensor, those of its stream included.

    Examples:
        >>> degradation_names("lidar")
        ('jitter', 'returns_lost', 'frozen', 'delayed')
    """
    return (*DEGRADATIONS[kind], *STREAM)


def degrade(kind: str, name: str, image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Degrade an image; one without a valid pixel stays as it is.

    Args:
        kind: of the sensor.
        name: of DEGRADATIONS for this kind.
        image: (C, H, W), shares of the sensor's range, NaN where invalid.
        severity: of SEVERITIES.
        rng: draws what is random; a higher severity does more of the same.
    """
    return DEGRADATIONS[kind][name](image, severity, rng) if np.isfinite(image).any() else image


def earlier_place(name: str, severity: int, place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which frame of its stream is shown in place of each.

    Args:
        name: of STREAM.
        severity: of SEVERITIES.
        place: of the frames in their streams, from 0.

    Examples:
        >>> earlier_place("frozen", 2, np.arange(5)).tolist(), earlier_place("delayed", 2, np.arange(5)).tolist()
        ([0, 0, 0, 3, 3], [0, 0, 0, 1, 2])
    """
    frames = STREAM[name][severity - 1]
    return place - place % frames if name == "frozen" else np.maximum(place - frames, 0)
