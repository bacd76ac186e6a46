"""Test frames as pictures: what the sensors saw, what is there, and what each arm sees with and without each sensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import IGNORE
from sensorproof.evaluation.metrics import confusion, mean_iou
from sensorproof.models import Segmenter, load_model
from sensorproof.reporting.formatting import arm_title
from sensorproof.reporting.palette import class_colors
from sensorproof.reporting.tables import conditions
from sensorproof.reporting.thumbnails import label_picture, picture_size, sensor_picture, sensor_range
from sensorproof.training.loop import choose_device


@dataclass(frozen=True)
class Picture:
    """A caption and a PNG as a data URI; None where the frame has nothing to show."""

    caption: str
    uri: str | None
    score: float | None = None
    """Return the mIoU of this one frame, in points."""


@dataclass(frozen=True)
class _ArmPictures:
    title: str
    seed: int
    predictions: list[Picture]


@dataclass(frozen=True)
class Example:
    """One test frame. `facts` names where it comes from."""

    frame_id: str
    facts: str
    seen: list[Picture]
    truth: Picture
    arms: list[_ArmPictures]


def choose_rows(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose the middles of `count` equal stretches of the rows, before anything is predicted."""
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) * len(rows) / max(1, count)).astype(int)]


def draw_examples(
    data: PreparedDataset, runs: Mapping[str, tuple[int, Path]], count: int, device: str
) -> tuple[list[Example], tuple[int, int]]:
    """Draw `count` frames of the test split.

    Args:
        data: prepared frames.
        runs: {arm: (seed, folder of the model)}.
        count: how many frames; fewer where the split has fewer.
        device: train.device.

    Returns:
        The frames, and the (height, width) of every picture.
    """
    rows = choose_rows(data.rows("test"), count) if count else np.array([], np.int64)
    shown = conditions(data.sensors)
    size = picture_size(data.meta, len(rows), len(runs) * len(shown))
    predicted = {arm: predict(folder, data, rows, device) for arm, (_, folder) in runs.items()}
    pixels = {s: np.asarray(data.images[s][rows], dtype=np.float32) for s in data.sensors}
    limits = {s: sensor_range(pixels[s]) for s in data.sensors}
    colors = class_colors(data.meta.class_names)
    examples = []
    for place, row in enumerate(rows):
        frame = data.frames.loc[row]
        label = np.asarray(data.labels[row])
        seen = [
            Picture(s, sensor_picture(pixels[s][place], data.meta.sensors[s], limits[s], size))
            if frame[f"present_{s}"]
            else Picture(s, None)
            for s in data.sensors
        ]
        arms = []
        for arm, (seed, _) in runs.items():
            maps = predicted[arm][place]
            pictures = [
                draw(caption, prediction, label, colors, size) for caption, prediction in zip(shown, maps, strict=True)
            ]
            arms.append(_ArmPictures(arm_title(arm), seed, pictures))
        facts = [str(frame[c]) for c in ("batch", "site", "sequence", "condition") if c in frame and str(frame[c])]
        truth = Picture("ground truth", label_picture(label, colors, size))
        examples.append(Example(str(frame.frame_id), " · ".join(dict.fromkeys(facts)), seen, truth, arms))
    return examples, size


def draw(
    caption: str,
    predicted: NDArray[np.uint8] | None,
    label: NDArray[np.uint8],
    colors: Sequence[str],
    size: tuple[int, int],
) -> Picture:
    """One prediction with its own score; nothing where no sensor was left."""
    if predicted is None:
        return Picture(caption, None)
    return Picture(caption, label_picture(predicted, colors, size), _frame_score(predicted, label, len(colors)))


def _frame_score(predicted: NDArray[np.uint8], label: NDArray[np.uint8], classes: int) -> float:
    """MIoU of one frame in points, over the classes that its ground truth has; NaN where it has none."""
    logits = torch.nn.functional.one_hot(torch.from_numpy(predicted.astype(np.int64)), classes).permute(2, 0, 1)
    return mean_iou(confusion(logits[None], torch.from_numpy(label.astype(np.int64))[None], IGNORE))


@torch.inference_mode()
def predict(
    folder: Path, data: PreparedDataset, rows: NDArray[np.int64], device: str
) -> list[list[NDArray[np.uint8] | None]]:
    """[frame][condition] -> (H, W) class places, None where the condition leaves the frame without a sensor.

    One frame at a time: pictures are few, and memory stays that of one frame.
    """
    device_used = choose_device(device)
    model, description = load_model(folder)
    model.to(device_used)
    data = data.with_inputs(description.sensors)
    maps = []
    for row in rows:
        batch = data.batch(np.array([row])).to(device_used)
        present = [name for name in data.sensors if bool(batch.present[name])]
        features = model.encode({name: batch.inputs[name] for name in present})
        size = batch.target.shape[-2:]
        maps.append([decode(model, features, subset, size) for subset in conditions(data.sensors).values()])
    return maps


def decode(
    model: Segmenter, features: Mapping[str, list[Tensor]], subset: Sequence[str], size: torch.Size
) -> NDArray[np.uint8] | None:
    """Predict class places from a subset of the encoded sensors."""
    kept = {name: features[name] for name in subset if name in features}
    if not kept:
        return None
    places = model.decode(kept, None, size).argmax(1)[0]
    return np.asarray(places.to(torch.uint8).cpu().numpy())
