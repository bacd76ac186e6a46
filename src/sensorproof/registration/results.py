"""Read what the stages train and evaluate wrote about each training."""

from dataclasses import dataclass
from pathlib import Path

from sensorproof.artifacts import EVALUATE, run_folder
from sensorproof.documents import Evaluation, RunScores, TrainingRecord
from sensorproof.documents.history import Row, read_history
from sensorproof.errors import SensorproofError
from sensorproof.serving.package import hash_model


@dataclass(frozen=True)
class Run:
    """One training with its scores on the test split."""

    training: TrainingRecord
    scores: RunScores
    history: list[Row]
    model: Path
    """The model folder."""

    @property
    def key(self) -> tuple[str, int]:
        """Arm and seed."""
        return self.scores.arm, self.scores.seed


def read_runs(evaluation: Evaluation) -> list[Run]:
    """Read every run of the evaluation.

    Raises:
        SensorproofError: a file is missing or faulty, or a model is no longer the one that was scored.
    """
    return [_read_run(arm, seed) for arm, summary in evaluation.arms.items() for seed in summary.seeds]


def _read_run(arm: str, seed: int) -> Run:
    folder = run_folder(arm, seed)
    training = TrainingRecord.read(folder / "train.json")
    scores = RunScores.read(EVALUATE / f"{arm}-{seed}.json")
    model = folder / "model"
    if hash_model(model) != scores.model_sha256:
        fix = "run `dvc repro --force --single-item evaluate`, or restore it with `dvc checkout`"
        raise SensorproofError(model, "is not the model that was scored", fix)
    return Run(training, scores, read_history(folder / "history.csv"), model)
