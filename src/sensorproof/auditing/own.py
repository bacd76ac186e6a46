"""Score a model of ours with every subset of its sensors: each sensor is encoded once."""

from pathlib import Path

import torch

from sensorproof.auditing.frames import labelled_frames, open_batch
from sensorproof.data.batch import Batch
from sensorproof.evaluation.label_scores import LabelScores
from sensorproof.evaluation.subsets import SubsetScores, all_subsets
from sensorproof.models.windows import Windows, in_windows
from sensorproof.serving.predictor import Predictor, check_fits


def evaluate(
    model: Predictor,
    batch: Batch | str | Path,
    *,
    own_size: bool = False,
    window: tuple[int, int] | None = None,
    overlap: float = 0.25,
) -> SubsetScores:
    """Score a model of ours on a batch with every subset of its sensors, at the labels' own size.

    Each sensor of a frame is encoded once, or once per window. A frame that lacks a sensor counts with the others of a
    subset.

    Args:
        model: from `load_model`.
        batch: a batch, or its folder.
        own_size: give the model the images at the labels' own size, and not at the size of its training.
        window: (H, W) of windows that slide over the images at their own size; None for whole images.
        overlap: share of a window's side, below 1, that neighbours have in common at least.

    Returns:
        mIoU in points (0 to 100) of each subset, IoU per class, pixels per class.

    Raises:
        BatchError: the batch cannot be read, its classes or sensors are not those of the model, or it has no label.
        UsageError: the window is larger than an image, or the overlap is none.
        SensorproofError: a subset has no frame to score.

    Examples:
        >>> from sensorproof import evaluate, load_model
        >>> scores = evaluate(load_model("model"), "data/raw/yard")
        >>> sorted(scores.subsets)
        ['camera', 'camera+depth', 'depth']
        >>> scores.worst <= scores.mean
        True
    """
    batch = open_batch(batch)
    check_fits(model, batch)
    network = in_windows(model.model, Windows(window, overlap) if window else None)
    scores = LabelScores(model.sensors, batch.info)
    for frame, truth in labelled_frames(batch, model.sensors):
        height, width = truth.shape
        size = (height, width) if own_size or window else None
        inputs, present = model.tensors([model.present(frame.images)], size)
        subsets = all_subsets(inputs)
        with torch.inference_mode():
            predicted = network.decode_subsets(network.encode(inputs), present, subsets, (height, width))
            places = {s: each.argmax(1)[0].cpu().numpy() for s, each in zip(subsets, predicted, strict=True)}
        scores.add(places, truth)
    return scores.scores(batch.root)
