"""One arm, one seed: build the model, train it, score it on validation data. Search, train and compare all use it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sensorproof.data.dataset import PreparedDataset, TrainingSampler
from sensorproof.evaluation.subsets import SubsetScores, score_subsets
from sensorproof.files import hash_json
from sensorproof.models import ModelDescription, Segmenter, build_model, describe_model
from sensorproof.objectives.build import OBJECTIVE_VERSION, REGULARIZED, build_objective
from sensorproof.settings import Arm, ModelSettings, RegularizerSettings, TrainSettings
from sensorproof.training.loop import TrainingRun, choose_device, train


@dataclass(frozen=True)
class RunSpec:
    """What decides a training, to the bit on one machine."""

    arm: Arm
    seed: int
    steps: int
    model: ModelSettings
    train: TrainSettings
    regularizer: RegularizerSettings

    def key(self, data: PreparedDataset) -> str:
        """A hash of all that decides the result, data and the arms' version included; it names the checkpoint."""
        sections = {name: part.model_dump() for name, part in vars(self).items() if hasattr(part, "model_dump")}
        for choice in ("arms", "seeds", "checkpoint_every"):
            sections["train"].pop(choice)
        if self.arm not in REGULARIZED:
            sections["regularizer"] = {"strength": self.regularizer.strength}
        return hash_json([OBJECTIVE_VERSION, self.arm, self.seed, self.steps, sections, data.digest])[:16]


@dataclass(frozen=True)
class _FitResult:
    """A trained model on the training device, how the training went, and its scores on validation data."""

    model: Segmenter
    description: ModelDescription
    run: TrainingRun
    validation: SubsetScores


def fit(
    experiment: RunSpec,
    data: PreparedDataset,
    *,
    checkpoints: Path | None = None,
    progress: Callable[[int, dict[str, float]], None] = lambda step, row: None,
) -> _FitResult:
    """Train and validate. With `checkpoints`, a folder, a training that was cut short is taken up again."""
    description = describe_model(experiment.model, data.meta)
    torch.manual_seed(experiment.seed)
    pretrained = Path(experiment.model.pretrained) if experiment.model.pretrained else None
    model = build_model(description, pretrained)
    checkpoint = checkpoints / f"{experiment.key(data)}.safetensors" if checkpoints else None
    run = train(
        model,
        TrainingSampler(data, experiment.train.batch_size, experiment.seed, experiment.train.horizontal_flip),
        build_objective(experiment.arm, experiment.regularizer, experiment.train.class_balance),
        experiment.train,
        steps=experiment.steps,
        seed=experiment.seed,
        checkpoint=checkpoint,
        progress=progress,
    )
    validation = score_split(model, data, "val", experiment.train.device, experiment.train.batch_size)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return _FitResult(model, description, run, validation)


def score_split(model: Segmenter, data: PreparedDataset, split: str, device: str, batch_size: int) -> SubsetScores:
    """Score a model on one split with every subset of its sensors; the model moves to the device."""
    where = choose_device(device)
    model.to(where)
    batches = (batch.to(where) for batch in data.ordered(split, batch_size))
    return score_subsets(model, batches, data.meta.class_names)
