"""Stage train: one arm, one seed."""

import csv
import sys
from pathlib import Path
from typing import cast

from sensorproof.artifacts import CHECKPOINTS, PREPARED, QUARANTINED, SEARCH, run_folder
from sensorproof.cli.errors import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.experiment import RunSpec, fit
from sensorproof.files import atomic_folder, read_json, write_json
from sensorproof.models import save_model
from sensorproof.settings import Arm, RegularizerSettings, load_settings


@report_errors
def main(arm: Arm, seed: int) -> None:
    settings = load_settings()
    regularizer = RegularizerSettings.model_validate(read_json(SEARCH / "arms" / f"{arm}.json"))
    steps = settings.train.steps
    fitted = fit(
        RunSpec(arm, seed, steps, settings.model, settings.train, regularizer),
        PreparedDataset(PREPARED, QUARANTINED),
        checkpoints=CHECKPOINTS,
        progress=lambda step, row: show(f"{arm} seed {seed}", step, steps, row["loss"]),
    )
    with atomic_folder(run_folder(arm, seed)) as folder:
        save_model(fitted.model.cpu(), fitted.description, folder / "model")
        write_history(folder / "history.csv", fitted.run.history)
        write_json(
            folder / "train.json",
            {
                "arm": arm,
                "seed": seed,
                "regularizer": regularizer.model_dump(),
                "train_seconds": fitted.run.seconds,
                "parameters": sum(p.numel() for p in fitted.model.parameters()),
                "val": fitted.validation.to_json(),
            },
        )
    print(f"{arm} seed {seed}: {fitted.run.seconds:.0f} s, validation {fitted.validation}")


def show(name: str, step: int, steps: int, loss: float) -> None:
    """Print about ten lines a training."""
    if step % max(1, steps // 10) < 10 or step == steps:
        print(f"{name}: step {step} of {steps}, loss {loss:.3f}", flush=True)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """One row per recorded step; a column that a row lacks stays empty."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


if __name__ == "__main__":
    main(cast(Arm, sys.argv[1]), int(sys.argv[2]))
