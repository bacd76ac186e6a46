"""Small scenes that move, seen by a camera and by a sensor of other values; batches of them without any file."""

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
from sensorproof.alignment.frames import Frame
from sensorproof.alignment.measurement import BatchMeasurements, measure_batch
from sensorproof.data.batch import Batch, BatchInfo, write_batch
from sensorproof.settings import Settings, ValidationSettings, load_settings

SIZE = (144, 192)
SPEED = 40
"""Pixels by which the scene moves from frame to frame."""
START = 1_750_000_000.0
CALIBRATION = {
    "K": [150.0, 0, 96, 0, 150.0, 72, 0, 0, 1],
    "T_ref": np.eye(4).ravel().tolist(),
    "captured": "2025-06-01",
}


@lru_cache
def settings() -> Settings:
    """The project's own params.yaml."""
    return load_settings(ROOT / "params.yaml")


def checks() -> ValidationSettings:
    return settings().validation


@lru_cache(maxsize=8)
def panorama(seed: int, width: int) -> NDArray[np.uint8]:
    """Ids of shapes that cover each other, (144 + 40, width): what a moving vehicle passes."""
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


def look(ids: NDArray[np.uint8], values: NDArray[np.float32], noise: float, rng: np.random.Generator) -> NDArray:
    """(H, W) how a sensor with a value for each id shows a scene."""
    seen = cv2.GaussianBlur(values[ids], (0, 0), 0.7) + rng.normal(0, noise, ids.shape)
    return np.asarray(np.clip(seen, 1, 254), np.float32)


CAMERA = np.array([30, 90, 200, 150, 60, 230, 110, 180], np.float32)
OTHER = np.array([200, 60, 120, 20, 240, 90, 160, 30], np.float32)
"""Values by id. What is bright to the one is dark to the other."""


def make_frame(row: int, seed: int = 0, noise: float = 3.0) -> Frame:
    """Camera (3, H, W), another sensor (1, H, W) and label of one scene."""
    ids, rng = scene(seed, row), np.random.default_rng([seed, row])
    gray = look(ids, CAMERA, noise, rng)
    images = {"camera": np.stack([gray, 0.8 * gray, 0.6 * gray]), "other": look(ids, OTHER, noise, rng)[None]}
    return Frame(row, images, np.minimum(ids, 6))


def info(name: str = "made", **sensors: Any) -> BatchInfo:
    """batch.yaml of such batches; `sensors` change entries of single ones."""
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
    """A batch whose files exist in name only; read it with make_frame."""
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
    return Batch(Path("nowhere"), info(**sensors), table)


def write_files(root: Path, frames: int, sequences: int = 1, **sensors: Any) -> Path:
    """The same batch as files, and its folder."""
    batch = make_batch(frames, sequences, **sensors)
    described = batch.info.model_dump(mode="json") | {"name": root.name}
    for row in range(frames):
        frame = make_frame(row)
        pictures = {"camera": frame.images["camera"].transpose(1, 2, 0), "other": frame.images["other"][0]}
        for name, pixels in {**pictures, "label": frame.label}.items():
            path = root / name / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(np.rint(pixels), np.uint8)).save(path)
    write_batch(root, described, batch.frames.drop(columns="split"))
    return root


def read_made(batch: Batch, row: int) -> Frame:
    """A reader for measure()."""
    return replace(make_frame(int(batch.frames.frame_id.iat[row][1:])), row=row)


def measured(batch: Batch, read: Callable[[Batch, int], Frame] = read_made) -> BatchMeasurements:
    return measure_batch(batch, checks(), read)


def broken(table: pd.DataFrame, rules: list[Rule] | None = None) -> pd.DataFrame:
    """Broken rules by row, worked out by itself: columns rule, row, column, scope, severity, sensor, frame_id."""
    found = []
    for number, rule in enumerate(make_rules(checks()) if rules is None else rules):
        rows = table[~table.sensor.duplicated()] if rule.scope == "batch" else table
        for row, value, other in zip(
            rows.index, rows[rule.column], rows[rule.other] if rule.other else rows[rule.column], strict=True
        ):
            passed = {
                "at_most": lambda v, o, r: v <= r.limit,
                "below": lambda v, o, r: v < r.limit,
                "at_least": lambda v, o, r: v >= r.limit,
                "above": lambda v, o, r: v > r.limit,
                "within": lambda v, o, r: abs(v) <= o,
                "unless_still": lambda v, o, r: v > r.limit or o <= r.other_limit,
            }[rule.test](value, other, rule)
            if not (passed or np.isnan(value) or np.isnan(other)):
                found.append(
                    (number, row, rule.column, rule.scope, rule.severity, *table.loc[row, ["sensor", "frame_id"]])
                )
    return pd.DataFrame(found, columns=["rule", "row", "column", "scope", "severity", "sensor", "frame_id"])


def set_aside(table: pd.DataFrame, sensor: str) -> set[str]:
    """Ids of the frames of which critical rules set a sensor aside."""
    found = broken(table)
    return set(found[(found.scope == "frame") & (found.severity == "critical") & (found.sensor == sensor)].frame_id)
