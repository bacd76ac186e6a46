"""Frames at their own resolution, for training on crops: shards of which any process reads windows.

A shard is a safetensors file. The format is memory-mapped, holds arrays of different sizes by name, gives parts of
them without reading the rest, has no pickle, and keeps no handle that a forked process could not use. The project's
models and caches have it already.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, ValidationError
from safetensors import SafetensorError, safe_open

from sensorproof.errors import SensorproofError
from sensorproof.files import read_json
from sensorproof.settings.strict_model import StrictModel

FOLDER, INDEX = "full", "full.json"
"""In the folder of stage prepare."""
LABEL = "label"
_FIX = "run `dvc repro --force --single-item prepare`"


class StoredFrame(StrictModel):
    """Where one frame is."""

    shard: str
    size: tuple[PositiveInt, PositiveInt]
    """Height and width in pixels, of the label."""


class FullIndex(StrictModel):
    """The content of full.json."""

    frames: dict[int, StoredFrame]
    """{row of frames.csv: where it is}."""
    sha256: dict[str, str]
    """{shard: hash of its file}, so that a hash of this file covers all pixels."""


class FullFrames:
    """The frames that `full_writer` wrote. Nothing stays open, so that any process may read.

    Args:
        root: the folder of stage prepare.

    Raises:
        SensorproofError: there are none, or the index is broken.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not (root / INDEX).is_file():
            fix = "set data.full_resolution: true and run `dvc repro prepare`, or train.crop: null"
            raise SensorproofError("train.crop", "needs frames at their own resolution, which were not prepared", fix)
        try:
            self.frames = FullIndex.model_validate(read_json(root / INDEX), strict=False).frames
        except ValidationError as error:
            raise SensorproofError(root / INDEX, f"is no index of frames ({error})", _FIX) from error

    def read(
        self, row: int, names: Sequence[str], window: tuple[slice, slice]
    ) -> tuple[dict[str, NDArray[np.floating]], NDArray[np.uint8]]:
        """Read a window of some sensors and of the label of one frame, and nothing else of its file.

        Args:
            row: of frames.csv.
            names: sensors; those that the frame lacks are left out.
            window: rows and columns.

        Returns:
            {sensor: (C, h, w)} scaled to [0, 1], NaN where invalid, and the label (h, w).

        Raises:
            SensorproofError: the shard is missing or damaged.
        """
        path = self.root / FOLDER / self.frames[row].shard
        try:
            with safe_open(path, framework="np") as file:
                held = set(file.keys())
                images = {
                    name: file.get_slice(f"{row}/{name}")[:, window[0], window[1]]
                    for name in names
                    if f"{row}/{name}" in held
                }
                return images, file.get_slice(f"{row}/{LABEL}")[window[0], window[1]]
        except (OSError, SafetensorError) as error:
            raise SensorproofError(path, f"cannot be read ({error})", _FIX) from error
