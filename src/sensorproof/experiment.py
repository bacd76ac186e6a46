"""One arm, one seed: build the model, train it and score it. Search, train, evaluate and compare all use it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sensorproof.data.crops import Crop, CropSampler
from sensorproof.data.dataset import PreparedDataset, TrainingSampler
from sensorproof.data.frame_table import Split
from sensorproof.documents.history import Row
from sensorproof.documents.runs import TrainingRecord
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import SubsetScores, all_subsets, count_subsets, score_counts, score_subsets
from sensorproof.hashing import hash_files, hash_json
from sensorproof.models import ModelDescription, Segmenter, build_model, describe_model, load_model
from sensorproof.objectives.build import OBJECTIVE_VERSION, REGULARIZED, build_objective
from sensorproof.settings import Arm, ModelSettings, RegularizerSettings, TrainSettings
from sensorproof.training.loop import TrainingRun, choose_device, train
from sensorproof.training.processes import Processes, gather_documents


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines a training, to the bit on one machine."""

    arm: Arm
    seed: int
    steps: int
    model: ModelSettings
    train: TrainSettings
    regularizer: RegularizerSettings
    start: Path | None = None
    """The model folder whose weights the training starts from; None for new weights."""

    def key(self, data: PreparedDataset) -> str:
        """Hash all that determines the result, data and objective version included; it names the checkpoint."""
        sections = {name: part.model_dump() for name, part in vars(self).items() if hasattr(part, "model_dump")}
        sections["train"] = self.train.changes
        if self.arm not in REGULARIZED:
            sections["regularizer"] = {"strength": self.regularizer.strength}
        if self.start is not None:
            sections["start"] = hash_files(self.start, ("model.json", "model.safetensors"))
        return hash_json([OBJECTIVE_VERSION, self.arm, self.seed, self.steps, sections, data.digest])[:16]


@dataclass(frozen=True)
class FitResult:
    """A trained model on the training device, how the training went, and its scores on validation data."""

    spec: RunSpec
    model: Segmenter
    description: ModelDescription
    run: TrainingRun
    validation: SubsetScores

    @property
    def parameters(self) -> int:
        """Number of the model's parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def to_record(self) -> TrainingRecord:
        """Return the result as a document."""
        return TrainingRecord(
            arm=self.spec.arm,
            seed=self.spec.seed,
            regularizer=self.spec.regularizer,
            train_seconds=self.run.seconds,
            parameters=self.parameters,
            val=self.validation.to_document(),
        )


def fit(
    spec: RunSpec,
    data: PreparedDataset,
    *,
    checkpoints: Path | None = None,
    readers: int = 0,
    progress: Callable[[int, Row], None] = lambda step, row: None,
) -> FitResult:
    """Train a model and score it on the validation split; every process of torchrun calls it and has the result.

    Args:
        spec: what to train.
        data: the prepared data.
        checkpoints: a folder for checkpoints, from which an interrupted training resumes, or None for none.
        readers: processes that read batches ahead; see `train`.
        progress: called with step and row whenever a row of the history is recorded.
    """
    description = describe_model(spec.model, data.meta)
    model = new_model(spec, description)
    checkpoint = checkpoints / f"{spec.key(data)}.safetensors" if checkpoints else None
    run = train_model(model, spec, data, checkpoint=checkpoint, readers=readers, progress=progress)
    validation = score_split(model, data, "val", spec.train.device, spec.train.batch_size)
    if checkpoint is not None and Processes.current().first:
        checkpoint.unlink(missing_ok=True)
    return FitResult(spec, model, description, run, validation)


def new_model(spec: RunSpec, description: ModelDescription) -> Segmenter:
    """Build the model with which the training of a spec starts.

    Raises:
        SensorproofError: the model to start from cannot be loaded, or has other sensors, classes or another backbone.
    """
    torch.manual_seed(spec.seed)
    if spec.start is None:
        return build_model(description, Path(spec.model.pretrained) if spec.model.pretrained else None)
    model, own = build_model(description), load_model(spec.start)[0].state_dict()
    if {name: x.shape for name, x in model.state_dict().items()} != {name: x.shape for name, x in own.items()}:
        fix = "set retraining.mode: all"
        raise SensorproofError(spec.start, "has other sensors, classes or another backbone than the data", fix)
    model.load_state_dict(own)
    return model


def train_model(model: Segmenter, spec: RunSpec, data: PreparedDataset, **options: Any) -> TrainingRun:
    """Train a new model as a spec says; `train` describes the options and what it raises."""
    return train(
        model,
        make_sampler(data, spec.train, spec.seed),
        build_objective(spec.arm, spec.regularizer, spec.train.class_balance),
        spec.train,
        steps=spec.steps,
        seed=spec.seed,
        **options,
    )


def make_sampler(data: PreparedDataset, settings: TrainSettings, seed: int) -> TrainingSampler:
    """Return the sampler of a training: of whole frames, or of crops.

    Raises:
        SensorproofError: there is nothing to cut the crops from.
    """
    options = data, settings.batch_size, seed, settings.horizontal_flip
    if settings.crop is None:
        return TrainingSampler(*options, settings.photometric)
    crop = Crop((settings.crop[0], settings.crop[1]), (settings.crop_scale[0], settings.crop_scale[1]))
    return CropSampler(*options, crop, settings.photometric)


def score_split(model: Segmenter, data: PreparedDataset, split: Split, device: str, batch_size: int) -> SubsetScores:
    """Score a model on one split with every subset of its sensors; the model moves to the device.

    The processes of torchrun share out the frames, and all of them have the scores.

    Args:
        model: any model of ours with the sensors of the data.
        data: the prepared data.
        split: `train`, `val` or `test`.
        device: see `choose_device`.
        batch_size: frames per forward pass.

    Raises:
        SensorproofError: a subset has no frame to score, or the device does not exist.
    """
    where = choose_device(device)
    model.to(where)
    processes = Processes.current()
    if processes.count == 1:
        batches = (batch.to(where) for batch in data.ordered(split, batch_size))
        return score_subsets(model, batches, data.meta.class_names)
    rows = data.rows(split)[processes.rank :: processes.count]
    parts = (data.batch(rows[start : start + batch_size]).to(where) for start in range(0, len(rows), batch_size))
    counts = np.zeros((1, len(all_subsets(model.sensors)), len(data.meta.classes), 3), np.int64)
    if len(rows):
        counts += count_subsets(model, parts).sum(0, dtype=np.int64)
    totals = np.sum(gather_documents(counts.tolist()), axis=0)
    return score_counts(totals, model.sensors, data.meta.class_names)
