"""Moving scenes that a camera, a thermal and a depth sensor show, prepared, and what a monitor says of them."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from helpers.synthetic_scenes import CAMERA_VALUES, OTHER_VALUES, render, scene
from sensorproof.data.batch import Class
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.data.preprocessing import standardize
from sensorproof.evaluation.failures import FAILURES, Context
from sensorproof.files import write_json
from sensorproof.models import ModelDescription, Segmenter, build_model
from sensorproof.monitoring.monitor import Monitor
from sensorproof.monitoring.stream import Verdict
from sensorproof.settings import MonitoringSettings

SIZE = (48, 64)
CHANNELS = {"camera": 3, "depth": 1, "thermal": 1}
DEPTHS = np.array([0.9, 0.05, 0.3, 0.12, 0.6, 0.08, 0.2, 0.04], np.float32)
"""Distances by id, as shares of the range."""
CLASSES = 3
SENSORS = sorted(CHANNELS)
SETTINGS = MonitoringSettings(false_alarms=0.01)
FRAMES = 6
"""Of a sequence."""
SEQUENCES = {"train": [(site, q) for site in range(5) for q in range(2)], "val": [(5, 0), (5, 1)], "test": [(6, 0)]}
"""{split: site and number of each}."""
Images = dict[str, NDArray[np.floating]]


def show(ids: NDArray[np.uint8], seed: int = 0) -> Images:
    """The images (C, H, W) of all sensors of one scene; the depth image has holes."""
    rng = np.random.default_rng(seed)
    camera, thermal = (render(ids, values, 2.0, rng) / 255 for values in (CAMERA_VALUES, OTHER_VALUES))
    depth = DEPTHS[ids] * rng.normal(1, 0.02, ids.shape).astype(np.float32)
    depth[rng.random(ids.shape) < 0.05] = np.nan
    return {"camera": np.stack([camera, 0.8 * camera, 0.6 * camera]), "depth": depth[None], "thermal": thermal[None]}


@lru_cache
def stream_of(site: int, sequence: int, frames: int = FRAMES) -> tuple[Images, NDArray[np.uint8]]:
    """The images {sensor: (B, C, H, W)} of a sequence, in float16 as they are stored, and its labels (B, H, W)."""
    ids = [scene(site, 40 * sequence + k, SIZE) for k in range(frames)]
    shown = [show(each, 100 * site + 10 * sequence + k) for k, each in enumerate(ids)]
    images = {name: np.stack([each[name] for each in shown]).astype(np.float16) for name in CHANNELS}
    return images, np.stack(ids) % CLASSES


def make_meta() -> PreparedMeta:
    """What belongs to the prepared scenes."""
    sensors = {
        name: SensorInput(
            kind=name, channels=count, range=(0.0, 1.0), nodata=None, mean=(0.4,) * count, std=(0.25,) * count
        )
        for name, count in CHANNELS.items()
    }
    classes = tuple(Class(id=i, name=f"class {i}") for i in range(CLASSES))
    counts = {split: FRAMES * len(sequences) for split, sequences in SEQUENCES.items()}
    return PreparedMeta(sensors=sensors, reference="camera", classes=classes, size=SIZE, batches=("b",), frames=counts)


def write_scenes(root: Path) -> Path:
    """Write what stage prepare writes; the last frame of every split has no depth image."""
    rows = [(split, *each, k) for split, all_ in SEQUENCES.items() for each in all_ for k in range(FRAMES)]
    table = pd.DataFrame(rows, columns=["split", "site", "sequence", "frame"])
    table["frame_id"] = [f"f{i}" for i in range(len(rows))]
    table = table.assign(batch="b", labelled=True, fault="", condition=np.where(table.frame < 3, "day", ""))
    last = (~table.split.duplicated(keep="last")).to_numpy()
    streams = [stream_of(*each) for all_ in SEQUENCES.values() for each in all_]
    root.mkdir(parents=True, exist_ok=True)
    for name in CHANNELS:
        pixels = np.concatenate([images[name] for images, _ in streams])
        table[f"present_{name}"] = ~last if name == "depth" else True
        pixels[~table[f"present_{name}"].to_numpy()] = np.nan
        np.save(root / f"{name}.npy", pixels)
    np.save(root / "label.npy", np.concatenate([labels for _, labels in streams]))
    table = table.astype({"site": str, "sequence": str}).assign(site="site-" + table.site.astype(str))
    table.drop(columns="frame").to_csv(root / "frames.csv", index=False)
    write_json(root / "meta.json", make_meta().model_dump(mode="json"))
    return root


def make_model() -> tuple[Segmenter, ModelDescription]:
    """An untrained model of the three sensors whose label maps show more than one class."""
    meta = make_meta()
    description = ModelDescription(
        backbone="tiny",
        decoder_channels=16,
        sensors=meta.sensors,
        reference=meta.reference,
        classes=meta.classes,
        size=meta.size,
    )
    torch.manual_seed(0)
    model = build_model(description)
    with torch.no_grad():
        for parameter in model.decoder.classifier.parameters():
            parameter.normal_(0, 1)
    return model.eval(), description


def watch(monitor: Monitor, model: Segmenter, data: PreparedDataset, pixels: Images) -> list[dict[str, Verdict]]:
    """Verdicts on the frames of a stream, all in one pass."""
    present = {name: np.asarray(np.isfinite(images).any((1, 2, 3))) for name, images in pixels.items()}
    inputs = {name: standardize(images, data.meta.sensors[name]) for name, images in pixels.items()}
    with torch.inference_mode():
        features = model.encode(inputs)
    measured = monitor.measure(pixels, present, features, model)
    stream = monitor.open_stream()
    return [monitor.judge(measured, row, stream) for row in range(len(measured.evidence))]


def failing(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.failing}


def break_(pixels: Images, sensor: str, kind: str) -> Images:
    """Break a sensor of a stream; `other_frame` shows another site."""
    own = pixels[sensor].astype(np.float32)
    other = stream_of(2, 1, len(own))[0][sensor].astype(np.float32)
    context = Context(np.repeat(own[:1], len(own), 0), own, other, np.random.default_rng(0))
    return pixels | {sensor: FAILURES[kind](own, context).astype(np.float16)}
