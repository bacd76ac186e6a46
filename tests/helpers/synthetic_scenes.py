"""Small moving scenes, shown by a camera and by a sensor with other values; batches of them with and without files."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from helpers.paths import ROOT
from sensorproof.alignment.decision.rules import Rule, make_rules
from sensorproof.alignment.frames import RawFrame
from sensorproof.alignment.measurement import BatchMeasurements, measure_batch
from sensorproof.data.batch import Batch, BatchInfo, write_batch
from sensorproof.settings import Settings, ValidationSettings, load_settings

SIZE = (144, 192)
"""Height and width of the images."""
SPEED = 40
"""Pixels by which the scene moves from frame to frame."""
START = 1_750_000_000.0
"""Timestamp of the first frame, seconds."""
CALIBRATION = {
    "K": [150.0, 0, 96, 0, 150.0, 72, 0, 0, 1],
    "T_ref": np.eye(4).ravel().tolist(),
    "captured": "2025-06-01",
}
CAMERA_VALUES = np.array([30, 90, 200, 150, 60, 230, 110, 180], np.float32)
OTHER_VALUES = np.array([200, 60, 120, 20, 240, 90, 160, 30], np.float32)
"""Values by id. What is bright in the camera's image is dark in the other one."""


@lru_cache
def settings() -> Settings:
    """The project's own params.yaml."""
    return load_settings(ROOT / "params.yaml")


def checks() -> ValidationSettings:
    """The section `validation` of the project's own params.yaml."""
    return settings().validation


@lru_cache(maxsize=8)
def panorama(seed: int, width: int) -> NDArray[np.uint8]:
    """Ids (144 + 40, width) of shapes that cover each other, past which a vehicle drives."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((SIZE[0] + 40, width), np.uint8)
    for k in range(width // 5):
        center, axes = rng.integers(0, (width, SIZE[0] + 40)), rng.integers(6, 30, 2)
        cv2.ellipse(scene, center.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1 + k % 7, -1)
    return scene


def scene(seed: int, k: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Ids (H, W) that frame k shows."""
    left = 20 + SPEED * k
    return panorama(seed, 4096)[20 : 20 + size[0], left : left + size[1]]


def render(ids: NDArray[np.uint8], values: NDArray[np.float32], noise: float, rng: np.random.Generator) -> NDArray:
    """The image (H, W) of a sensor that shows each id by its value."""
    image = cv2.GaussianBlur(values[ids], (0, 0), 0.7) + rng.normal(0, noise, ids.shape)
    return np.asarray(np.clip(image, 1, 254), np.float32)


def make_frame(row: int, seed: int = 0, noise: float = 3.0) -> RawFrame:
    """Camera (3, H, W), other sensor (1, H, W) and label of one scene."""
    ids, rng = scene(seed, row), np.random.default_rng([seed, row])
    gray = render(ids, CAMERA_VALUES, noise, rng)
    images = {"camera": np.stack([gray, 0.8 * gray, 0.6 * gray]), "other": render(ids, OTHER_VALUES, noise, rng)[None]}
    return RawFrame(row, images, np.minimum(ids, 6))


def batch_info(name: str = "made", **sensors: Any) -> BatchInfo:
    """The batch.yaml of such batches; `sensors` replaces entries of single sensors."""
    described = {
        "camera": {"kind": "camera", "channels": 3},
        "other": {"kind": "thermal", "channels": 1},
    }
    common = {"range": [0, 255], "nodata": None, "max_time_offset_s": 0.02, "calibration": CALIBRATION}
    return BatchInfo.model_validate(
        {
            "name": name,
            "classes": [{"id": k, "name": f"class-{k}"} for k in range(7)],
            "ignore_index": 255,
            "reference": "camera",
            "sensors": {s: {**common, **entry, **sensors.get(s, {})} for s, entry in described.items()},
        },
        strict=False,
    )


def make_batch(frames: int, sequences: int = 1, **sensors: Any) -> Batch:
    """A batch without files; read it with `read_synthetic`."""
    per_sequence = -(-frames // sequences)
    stamps = START + np.arange(frames) / 2
    table = pd.DataFrame(
        {
            "frame_id": [f"f{k:04d}" for k in range(frames)],
            "sequence": [f"s{k // per_sequence}" for k in range(frames)],
            "site": [f"site-{k // per_sequence}" for k in range(frames)],
            "condition": "",
            "split": "",
            "label": [f"label/{k}.png" for k in range(frames)],
            "camera": [f"camera/{k}.png" for k in range(frames)],
            "camera_time": stamps,
            "other": [f"other/{k}.png" for k in range(frames)],
            "other_time": stamps + 0.002,
        }
    )
    return Batch(Path("nowhere"), batch_info(**sensors), table)


def write_synthetic_batch(root: Path, frames: int, sequences: int = 1) -> Path:
    """Write the same batch as files and return its folder."""
    batch = make_batch(frames, sequences)
    described = batch.info.model_dump(mode="json") | {"name": root.name}
    for row in range(frames):
        frame = make_frame(row)
        images = {"camera": frame.images["camera"].transpose(1, 2, 0), "other": frame.images["other"][0]}
        for name, pixels in {**images, "label": frame.label}.items():
            path = root / name / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(np.rint(pixels), np.uint8)).save(path)
    write_batch(root, described, batch.frames.drop(columns="split"))
    return root


def read_synthetic(batch: Batch, row: int) -> RawFrame:
    """A reader for `measure_batch`."""
    return replace(make_frame(int(batch.frames.frame_id.iat[row][1:])), row=row)


def measured(batch: Batch, read: Callable[[Batch, int], RawFrame] = read_synthetic) -> BatchMeasurements:
    """The measures of a batch, by the project's own settings."""
    return measure_batch(batch, checks(), read)


def broken_rules(table: pd.DataFrame, rules: list[Rule] | None = None) -> pd.DataFrame:
    """Broken rules by row, computed without Great Expectations.

    Columns: rule, row, column, scope, severity, sensor, frame_id.
    """
    passes = {
        "at_most": lambda v, o, r: v <= r.limit,
        "below": lambda v, o, r: v < r.limit,
        "at_least": lambda v, o, r: v >= r.limit,
        "above": lambda v, o, r: v > r.limit,
        "within": lambda v, o, r: abs(v) <= o,
        "unless_still": lambda v, o, r: v > r.limit or o <= r.other_limit,
    }
    broken = []
    for number, rule in enumerate(make_rules(checks()) if rules is None else rules):
        rows = table[~table.sensor.duplicated()] if rule.scope == "batch" else table
        others = rows[rule.other or rule.column]
        for row, value, other in zip(rows.index, rows[rule.column], others, strict=True):
            if not (passes[rule.test](value, other, rule) or np.isnan(value) or np.isnan(other)):
                keys = table.loc[row, ["sensor", "frame_id"]]
                broken.append((number, row, rule.column, rule.scope, rule.severity, *keys))
    return pd.DataFrame(broken, columns=["rule", "row", "column", "scope", "severity", "sensor", "frame_id"])


def quarantined_frames(table: pd.DataFrame, sensor: str) -> set[str]:
    """Ids of the frames in which a sensor breaks a critical rule."""
    broken = broken_rules(table)
    critical = (broken.scope == "frame") & (broken.severity == "critical")
    return set(broken[critical & (broken.sensor == sensor)].frame_id)
