"""A small valid batch of real files, one format a sensor, and edits that make it faulty."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sensorproof.data.batch import write_batch
from sensorproof.files import dump_yaml, parse_yaml

Edit = Callable[[Any], object]
"""A change of a document, a table or a test's case, in place."""

SIZE = (12, 16)
SENSORS: dict[str, dict[str, Any]] = {
    "camera": {"kind": "camera", "channels": 3, "range": [0, 255], "nodata": None},
    "thermal": {"kind": "thermal", "channels": 1, "range": [0, 65535], "nodata": 0},
    "lidar": {"kind": "lidar", "channels": 2, "range": [0.0, 100.0], "nodata": None},
}
ENDINGS = {"camera": "png", "thermal": "png", "lidar": "npy"}


def info_of(name: str) -> dict[str, Any]:
    """The content of a valid batch.yaml."""
    return {
        "name": name,
        "classes": [{"id": 0, "name": "road"}, {"id": 3, "name": "sky"}],
        "ignore_index": 255,
        "reference": "camera",
        "sensors": {s: {**claims, "max_time_offset_s": 0.1, "calibration": None} for s, claims in SENSORS.items()},
    }


def make_batch(root: Path, sequences: int = 4, frames: int = 2, labelled: bool = True, start: float = 0.0) -> Path:
    """Write a batch of `sequences` sequences of two-class scenes that every sensor sees."""
    rng = np.random.default_rng(len(root.name))
    rows = []
    for folder in (*SENSORS, "label"):
        (root / folder).mkdir(parents=True)
    for number in range(sequences * frames):
        name = f"f{number:03d}"
        sky = np.zeros(SIZE, bool)
        sky[: 3 + number % 6] = True
        label = np.where(sky, 3, 0).astype(np.uint8)
        label[-1] = 255
        camera = rng.integers(0, 90, (*SIZE, 3)) + 150 * sky[..., None]
        thermal = rng.integers(1, 9000, SIZE) + 20000 * ~sky
        lidar = rng.random((*SIZE, 2)) * np.where(sky, 1, 80)[..., None]
        Image.fromarray(camera.astype(np.uint8)).save(root / f"camera/{name}.png")
        Image.fromarray(thermal.astype(np.uint16)).save(root / f"thermal/{name}.png")
        np.save(root / f"lidar/{name}.npy", lidar.astype(np.float16))
        Image.fromarray(label).save(root / f"label/{name}.png")
        row: dict[str, Any] = {"frame_id": name, "sequence": f"q{number // frames}", "site": "yard", "condition": "day"}
        row["label"] = f"label/{name}.png" if labelled else ""
        for sensor, ending in ENDINGS.items():
            row |= {sensor: f"{sensor}/{name}.{ending}", f"{sensor}_time": start + number}
        rows.append(row)
    write_batch(root, info_of(root.name), pd.DataFrame(rows))
    return root


def edit_info(root: Path, change: Edit) -> None:
    """Change batch.yaml."""
    info = parse_yaml((root / "batch.yaml").read_text())
    change(info)
    (root / "batch.yaml").write_text(dump_yaml(info))


def edit_frames(root: Path, change: Edit) -> None:
    """Change the rows of frames.csv, as text."""
    with (root / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0])
    change(rows)
    columns += [c for row in rows for c in row if c not in columns]
    with (root / "frames.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(columns)), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def put(*path: Any, value: Any) -> Edit:
    """An edit that sets one value deep in a document."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def remove(*path: Any) -> Edit:
    """An edit that removes one value deep in a document."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change
