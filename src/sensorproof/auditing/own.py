"""Score a model of ours with every subset of its sensors: each sensor is encoded once."""

from pathlib import Path

import torch

from sensorproof.auditing.frames import labelled_frames, open_batch
from sensorproof.data.batch import Batch
from sensorproof.evaluation.label_scores import LabelScores
from sensorproof.evaluation.subsets import SubsetScores, all_subsets
from sensorproof.serving.predictor import Predictor, check_fits


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
    batch = open_batch(batch)
    check_fits(model, batch)
    scores = LabelScores(model.sensors, batch.info)
    for frame, truth in labelled_frames(batch, model.sensors):
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
