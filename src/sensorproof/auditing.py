"""Score a model on a batch with every subset of its sensors: a model of ours, or any function of sensor arrays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import Frame, load_frame
from sensorproof.data.preprocessing import label_lookup
from sensorproof.errors import BatchError, UsageError
from sensorproof.evaluation.label_scores import LabelScores
from sensorproof.evaluation.subsets import SubsetScores, all_subsets
from sensorproof.serving.predictor import Predictor, check_fits

Images = Mapping[str, NDArray[np.float32]]
AnyModel = Callable[[dict[str, Any]], Any]
"""Maps {sensor: (C, h, w) float32 array, NaN where invalid} to logits (K, H, W), or to class ids (H, W) of integers.
An `nn.Module` gets tensors (1, C, h, w) instead and returns logits (1, K, H, W)."""
Missing = Literal["auto", "drop", "zero", "mean"]


@dataclass(frozen=True)
class Audit:
    """How a model depends on its sensors."""

    scores: SubsetScores
    """mIoU of every subset, in points."""
    missing: Missing
    """How a missing sensor was presented: left out (`drop`), as zeros, or as its mean over the batch."""
    frames: int
    """Labelled frames that were scored."""


def evaluate(model: Predictor, batch: Batch | str | Path) -> SubsetScores:
    """Score a model of ours on a batch with every subset of its sensors, at the labels' own size.

    Each sensor of a frame is encoded once. A frame that lacks a sensor counts with the others of a subset.

    Args:
        model: from `load_model`.
        batch: a batch, or its folder.

    Returns:
        mIoU in points (0 to 100) of each subset, IoU per class, pixels per class.

    Raises:
        BatchError: the batch cannot be read, its classes or sensors are not those of the model, or it has no label.
        SensorproofError: a subset has no frame to score.

    Examples:
        >>> from sensorproof import evaluate, load_model
        >>> scores = evaluate(load_model("model"), "data/raw/yard")
        >>> sorted(scores.subsets)
        ['camera', 'camera+depth', 'depth']
        >>> scores.worst <= scores.mean
        True
    """
    batch = _opened(batch)
    check_fits(model, batch)
    scores = LabelScores(model.sensors, batch.info)
    for frame, truth in _labelled(batch, model.sensors):
        inputs, present = model.tensors([model.present(frame.images)])
        with torch.inference_mode():
            features = model.model.encode(inputs)
            predicted = {}
            for subset in all_subsets(inputs):
                kept = {name: features[name] for name in subset}
                logits = model.model.decode(kept, {name: present[name] for name in subset}, truth.shape)
                predicted[subset] = logits.argmax(1)[0].cpu().numpy()
        scores.add(predicted, truth)
    return scores.scores(batch.root)


def audit(model: AnyModel, batch: Batch | str | Path, *, missing: Missing = "auto") -> Audit:
    """Score any model on a batch with every subset of its sensors: how badly does it depend on one of them?

    Args:
        model: a function of sensor arrays, or an `nn.Module`; see AnyModel. It does its own normalisation.
        batch: a batch with labels, or its folder.
        missing: how to present a sensor that is missing: `drop` leaves it out, `zero` gives zeros, `mean` the
            sensor's mean over the batch. `auto` leaves it out, and gives zeros if the model cannot do without it.

    Returns:
        The scores, and how missing sensors were presented.

    Raises:
        BatchError: the batch cannot be read or has no label.
        UsageError: `missing` is unknown, or the model's answer has another form.
        SensorproofError: a subset has no frame to score.

    Examples:
        A model that looks at the camera alone, on a batch with a camera and a depth sensor:

        >>> from sensorproof import audit
        >>> def model(images):
        ...     return (images["camera"][0] > 100).astype(int)  # class ids (H, W)
        >>> result = audit(model, "data/raw/yard")
        >>> result.missing, sorted(result.scores.subsets)
        ('zero', ['camera', 'camera+depth', 'depth'])
    """
    if missing not in ("auto", "drop", "zero", "mean"):
        raise UsageError("missing", f"is {missing!r}", "choose from auto, drop, zero, mean")
    batch = _opened(batch)
    ids = np.array([each.id for each in batch.info.classes])
    sensors = tuple(sorted(batch.sensors))
    scores, frames = LabelScores(sensors, batch.info), 0
    means = _means(batch) if missing == "mean" else {}
    for frame, truth in _labelled(batch, sensors):
        frames += 1
        if missing == "auto":
            missing = _choose_missing(model, frame.images)
        fill = {} if missing == "drop" else _filled(frame.images, batch, means, truth.shape)
        predicted = {}
        for subset in all_subsets(frame.images):
            given = {**fill, **{name: frame.images[name] for name in subset}}
            predicted[subset] = _places(_answer(model, given), ids, truth.shape)
        scores.add(predicted, truth)
    return Audit(scores.scores(batch.root), missing, frames)


def _opened(batch: Batch | str | Path) -> Batch:
    return batch if isinstance(batch, Batch) else read_batch(Path(batch))


def _labelled(batch: Batch, sensors: tuple[str, ...]) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
    """Yield the frames that can be scored, each with its label as places in `classes` (IGNORE where none)."""
    lookup, scored = label_lookup(batch.info), 0
    for index in np.flatnonzero((batch.frames.label != "").to_numpy()):
        frame, findings = load_frame(batch, int(index))
        images = {name: pixels for name, pixels in frame.images.items() if name in sensors}
        if frame.label is None or not images or any(f.severity == "critical" for f in findings):
            continue
        scored += 1
        yield Frame(frame.frame_id, images, frame.label), lookup[frame.label]
    if not scored:
        raise BatchError(batch.root, "has no labelled frame that can be scored", "give labels in frames.csv")


def _means(batch: Batch) -> dict[str, NDArray[np.float32]]:
    """{sensor: (C, 1, 1)} mean over the valid pixels of the batch."""
    sums: dict[str, NDArray[np.float64]] = {}
    for index in range(len(batch.frames)):
        for name, pixels in load_frame(batch, index)[0].images.items():
            valid = np.isfinite(pixels)
            part = np.stack([np.where(valid, pixels, 0).sum((1, 2), dtype=np.float64), valid.sum((1, 2))])
            sums[name] = sums.get(name, 0.0) + part
    return {
        name: (total / np.maximum(count, 1)).astype(np.float32)[:, None, None] for name, (total, count) in sums.items()
    }


def _filled(images: Images, batch: Batch, means: Images, label_size: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    """Return every sensor as if it were missing: its mean where there is one, else zeros.

    A sensor keeps its own size; one that the frame lacks gets the label's, which is that of the reference sensor.
    """
    filled = {}
    for name, sensor in batch.sensors.items():
        size = images[name].shape[1:] if name in images else label_size
        filled[name] = np.zeros((sensor.channels, *size), np.float32) + means.get(name, np.float32(0))
    return filled


def _choose_missing(model: AnyModel, images: Images) -> Missing:
    """Find out whether a model can do without a sensor: `drop` if every single sensor gets an answer, else `zero`."""
    try:
        for name in images:
            _answer(model, {name: images[name]})
    except Exception:  # whatever a foreign model raises, it means that it needs the others
        return "zero"
    return "drop"


def _answer(model: AnyModel, images: Images) -> NDArray[Any]:
    """Call the model; return (K, H, W) or (H, W)."""
    if isinstance(model, nn.Module):
        parameter = next(model.parameters(), torch.zeros(()))
        tensors = {name: torch.from_numpy(np.nan_to_num(x)).to(parameter.device)[None] for name, x in images.items()}
        with torch.inference_mode():
            answer = model.eval()(tensors)[0]
    else:
        answer = model(dict(images))
    return answer.detach().cpu().numpy() if isinstance(answer, Tensor) else np.asarray(answer)


def _places(answer: NDArray[Any], ids: NDArray[np.int64], size: tuple[int, ...]) -> NDArray[np.int64]:
    """Turn logits or class ids into places in `classes` at the label's size; -1 for an id that is no class."""
    if answer.ndim == 3 and answer.shape[0] == len(ids) and np.isfinite(answer).all():
        places = answer.argmax(0)
    elif answer.ndim == 2 and answer.dtype.kind in "biu":
        matches = answer[..., None] == ids
        places = np.where(matches.any(-1), matches.argmax(-1), -1)
    else:
        fault = f"answers with {answer.dtype} of shape {answer.shape}"
        fix = f"return finite logits ({len(ids)}, height, width) or class ids (height, width) of an integer type"
        raise UsageError("model", fault, fix)
    if places.shape != size:
        fault = f"answers at {places.shape[0]} x {places.shape[1]}, the label has {size[0]} x {size[1]}"
        raise UsageError("model", fault, "return the answer at the size of the reference sensor")
    return places
