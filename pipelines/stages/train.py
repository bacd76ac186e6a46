"""Stage train: one arm, one seed."""

import sys
from typing import cast

from sensorproof.artifacts import CHAMPION, CHECKPOINTS, PREPARED, QUARANTINED, SEARCH, run_folder
from sensorproof.console import report_errors
from sensorproof.documents import ArmSettings, SkippedRun
from sensorproof.documents.history import Row, write_history
from sensorproof.files import atomic_folder
from sensorproof.settings import Arm, Settings, load_settings

_WAITED = 0.1
"""Share of a training that may go by waiting for data before the log says so: then `compute.readers` helps."""


@report_errors
def main(arm: Arm, seed: int) -> None:
    """Write artifacts/train/<arm>-<seed>; in the processes of torchrun, the first one does."""
    settings = load_settings()
    own = ArmSettings.read(SEARCH / "arms" / f"{arm}.json")
    if own.skipped is None:
        train(arm, seed, own, settings)
        return
    with atomic_folder(run_folder(arm, seed)) as folder:
        SkippedRun(reason=own.skipped).write(folder / "skipped.json")
    print(f"{arm} seed {seed}: skipped, as {own.skipped}")


def train(arm: Arm, seed: int, own: ArmSettings, settings: Settings) -> None:
    """Train a new model, or the champion's a few steps more."""
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.experiment import RunSpec, fit
    from sensorproof.models import save_model
    from sensorproof.monitoring.fit import fit_monitor
    from sensorproof.training.processes import process_group

    steps, start = settings.train.steps, None
    if own.fine_tuning_steps is not None:
        steps, start = own.fine_tuning_steps, CHAMPION / "model"
    with process_group() as processes:

        def show(step: int, row: Row) -> None:
            """Print about ten lines a training."""
            if processes.first and (step % max(1, steps // 10) < 10 or step == steps):
                print(f"{arm} seed {seed}: step {step} of {steps}, loss {row['loss']:.3f}", flush=True)

        data = PreparedDataset(PREPARED, QUARANTINED)
        result = fit(
            RunSpec(arm, seed, steps, settings.model, own.apply(settings.train), own.regularizer, start),
            data,
            checkpoints=CHECKPOINTS,
            readers=settings.compute.readers,
            progress=show,
        )
        if not processes.first:
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
