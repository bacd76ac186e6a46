"""Stage train: one arm, one seed."""

import sys
from typing import cast

from sensorproof.artifacts import CHECKPOINTS, PREPARED, QUARANTINED, SEARCH, run_folder
from sensorproof.console import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import ArmSettings
from sensorproof.documents.history import Row, write_history
from sensorproof.experiment import RunSpec, fit
from sensorproof.files import atomic_folder
from sensorproof.models import save_model
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.settings import Arm, load_settings
from sensorproof.training.processes import process_group

_WAITED = 0.1
"""Share of a training that may go by waiting for data before the log says so: then `compute.readers` helps."""


@report_errors
def main(arm: Arm, seed: int) -> None:
    """Write artifacts/train/<arm>-<seed>; in the processes of torchrun, the first one does."""
    with process_group() as processes:
        _train(arm, seed, processes.first)


def _train(arm: Arm, seed: int, first: bool) -> None:
    """Train together with the other processes; the first one writes the results."""
    settings = load_settings()
    steps, chosen = settings.train.steps, SEARCH / "arms" / f"{arm}.json"
    own = ArmSettings.read(chosen)

    def show(step: int, row: Row) -> None:
        """Print about ten lines a training."""
        if first and (step % max(1, steps // 10) < 10 or step == steps):
            print(f"{arm} seed {seed}: step {step} of {steps}, loss {row['loss']:.3f}", flush=True)

    data = PreparedDataset(PREPARED, QUARANTINED)
    result = fit(
        RunSpec(arm, seed, steps, settings.model, own.apply(settings.train), own.regularizer),
        data,
        checkpoints=CHECKPOINTS,
        readers=settings.compute.readers,
        progress=show,
    )
    if not first:
        return
    with atomic_folder(run_folder(arm, seed)) as folder:
        monitor = fit_monitor(result.model, data, settings.monitoring)
        save_model(result.model.cpu(), result.description, folder / "model")
        monitor.save(folder / "model")
        write_history(folder / "history.csv", result.run.history)
        result.to_record().write(folder / "train.json")
    run = result.run
    slow = run.waited > _WAITED * run.seconds
    share = f" ({100 * run.waited / run.seconds:.0f} % waiting for data)" if slow else ""
    print(f"{arm} seed {seed}: {run.seconds:.0f} s{share}, validation {result.validation}")


if __name__ == "__main__":
    main(cast(Arm, sys.argv[1]), int(sys.argv[2]))
