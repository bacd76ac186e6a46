"""Read what a caller gives for one sensor: an array, nested lists as JSON has them, or an encoded image."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sensorproof.errors import SensorproofError

MAX_VALUES = 2**28
"""Images with more values (8192 x 8192 with 4 channels) are refused before they are decoded."""
_ENCODINGS = {"base64": {"base64", "dtype", "shape"}, "png": {"png"}}
_MAX_NAME = 40


def short_name(name: object) -> str:
    """Return a name that a caller gave, short and printable enough for a message."""
    text = "".join(c if c.isprintable() else "?" for c in str(name))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def read_array(name: str, value: Any) -> NDArray[Any] | None:
    """Return the pixels of one sensor, or None where it is missing.

    Args:
        name: of the sensor, for messages.
        value: None; an array; nested lists of numbers, in which None is an invalid pixel; `{"base64": text, "dtype":
            "uint16", "shape": [C, H, W]}` with the bytes in C order, little-endian; or `{"png": text}`, a PNG of 8 or
            16 bits in base64.

    Returns:
        The array in its own type; nested lists as float64. A PNG gives (C, H, W).

    Raises:
        SensorproofError: the value is none of these, or holds no numbers.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = _decode(name, value)
    elif not isinstance(value, np.ndarray):
        value = _from_lists(name, value)
    if value.dtype.kind not in "biuf":
        raise SensorproofError(f"sensor {name}", f"holds {short_name(value.dtype)}", "give numbers")
    return value


def _from_lists(name: str, value: Any) -> NDArray[Any]:
    """Convert nested lists, or anything else that numpy takes for an array of numbers."""
    where = f"sensor {name}"
    if isinstance(value, str | bytes):
        raise SensorproofError(where, "is text", 'give numbers (channels, height, width), or {"png": base64 text}')
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError) as error:
        ragged = "inhomogeneous" in str(error) or "sequence" in str(error)
        fault = "is ragged: its rows differ in length" if ragged else "holds values that are not numbers"
        raise SensorproofError(where, fault, "give numbers (channels, height, width)") from None


def _decode(name: str, value: Mapping[str, Any]) -> NDArray[Any]:
    """Decode an encoded image."""
    where, fix = f"sensor {name}", 'give {"base64": text, "dtype": "uint8", "shape": [C, H, W]} or {"png": text}'
    kind = next((kind for kind, keys in _ENCODINGS.items() if keys == set(value)), None)
    if kind is None:
        raise SensorproofError(where, "has an encoding that is unknown", fix)
    try:
        data = base64.b64decode(value[kind], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise SensorproofError(where, f"its {kind} is no base64 text", fix) from None
    return _decode_png(where, data) if kind == "png" else _decode_raw(where, data, value["dtype"], value["shape"], fix)


def _decode_png(where: str, data: bytes) -> NDArray[Any]:
    """Decode a PNG to (C, H, W)."""
    signature, width, height = data[:8], data[16:20], data[20:24]
    if signature != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise SensorproofError(where, "is no PNG", "encode it as PNG of 8 or 16 bits")
    if int.from_bytes(width, "big") * int.from_bytes(height, "big") > MAX_VALUES:
        raise SensorproofError(where, "has too many pixels", f"give at most {MAX_VALUES:,}")
    try:
        pixels = np.asarray(imagecodecs.png_decode(data))
    except (imagecodecs.PngError, ValueError, RuntimeError):
        raise SensorproofError(where, "is no whole PNG", "encode it as PNG of 8 or 16 bits") from None
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _decode_raw(where: str, data: bytes, dtype: Any, shape: Any, fix: str) -> NDArray[Any]:
    """Decode bytes of a known type and shape."""
    try:
        kind = np.dtype(str(dtype)).newbyteorder("<")
        sides = tuple(int(side) for side in shape)
    except (TypeError, ValueError):
        raise SensorproofError(where, "its dtype or shape is unknown", fix) from None
    if kind.hasobject or kind.kind not in "biuf" or min(sides, default=0) < 1:
        raise SensorproofError(where, "its dtype or shape is unknown", fix)
    expected = kind.itemsize
    for side in sides:
        expected *= side
    if len(data) != expected:
        raise SensorproofError(where, f"has {len(data)} bytes, its dtype and shape need {expected}", fix)
    return np.frombuffer(data, kind).reshape(sides)
