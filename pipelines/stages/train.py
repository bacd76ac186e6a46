"""Stage train: one arm, every seed, one after the other.

A process for each seed would spend more time on imports than a short training takes. Finished trainings are kept by
all that determines them: a stage that was killed, or that gets further seeds, does not repeat them.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sensorproof.artifacts import CHAMPION, CHECKPOINTS, PREPARED, QUARANTINED, SEARCH, TRAIN, TRAINED, run_folder
from sensorproof.cache import hash_code, prune
from sensorproof.console import report_errors
from sensorproof.documents import ArmSettings, SkippedArm
from sensorproof.documents.history import Row, write_history
from sensorproof.files import atomic_folder
from sensorproof.hashing import hash_json
from sensorproof.settings import Arm, Settings, load_settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.experiment import RunSpec
    from sensorproof.training.processes import Processes

_CODE = (
    "sensorproof.batch_share",
    "sensorproof.data",
    "sensorproof.evaluation",
    "sensorproof.experiment",
    "sensorproof.models",
    "sensorproof.monitoring",
    "sensorproof.objectives",
    "sensorproof.regularization",
    "sensorproof.resizing",
    "sensorproof.training",
)
"""What a training runs: after a change there, finished ones are not used again."""
_KEPT_DAYS = 14.0
_WAITED = 0.1
"""Share of a training that may go by waiting for data before the log says so: then `compute.readers` helps."""


@report_errors
def main(arm: Arm) -> None:
    """Write artifacts/train/<arm>; in the processes of torchrun, the first one does."""
    settings = load_settings()
    own = ArmSettings.read(SEARCH / "arms" / f"{arm}.json")
    if own.skipped is None:
        train_all(arm, own, settings)
        return
    with atomic_folder(TRAIN / arm) as folder:
        SkippedArm(reason=own.skipped).write(folder / "skipped.json")
    print(f"{arm}: skipped, as {own.skipped}")


def train_all(arm: Arm, own: ArmSettings, settings: Settings) -> None:
    """Train with every seed, on as many processes as the settings say, and put the results together."""
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.experiment import RunSpec, make_sampler
    from sensorproof.training.launch import start_processes
    from sensorproof.training.processes import count_processes, process_group, share_out

    count = count_processes(settings.compute.processes)
    share_out(settings.train.batch_size, count, settings.train.accumulate)
    data = PreparedDataset(PREPARED, QUARANTINED).standardized(own.standardize or {})
    make_sampler(data, settings.train, seed=0)  # refuses crops that do not fit: once, not in every process
    start_processes(count)
    steps, start = settings.train.steps, None
    if own.fine_tuning_steps is not None:
        steps, start = own.fine_tuning_steps, CHAMPION / "model"
    train = own.apply(settings.train)
    specs = [RunSpec(arm, seed, steps, settings.model, train, own.regularizer, start) for seed in settings.train.seeds]
    with process_group() as processes:
        finished = {spec.seed: train_once(spec, data, settings, processes) for spec in specs}
        if not processes.first:
            return
        with atomic_folder(TRAIN / arm) as folder:
            for seed, trained in finished.items():
                shutil.copytree(trained, folder / run_folder(arm, seed).name)
    prune(TRAINED, _KEPT_DAYS, keep=list(finished.values()))


def train_once(spec: "RunSpec", data: "PreparedDataset", settings: Settings, processes: "Processes") -> Path:
    """Train a new model, or the champion's a few steps more, unless that was done before; return the folder."""
    from sensorproof.experiment import fit
    from sensorproof.models import save_model
    from sensorproof.monitoring.fit import fit_monitor
    from sensorproof.training.processes import gather_documents, require_agreement

    name, first = f"{spec.arm} seed {spec.seed}", processes.first
    trained = TRAINED / hash_json([spec.key(data), settings.monitoring.model_dump(), hash_code(*_CODE)])[:40]
    require_agreement(trained.name, "data, settings or code differ between its processes")
    # One of them decides: on another machine a common folder may be seen late.
    known = trained.is_dir() if processes.count == 1 else gather_documents(trained.is_dir())[0]
    if known:
        if first:
            trained.touch()
            print(f"{name}: trained before")
        return trained

    def show(step: int, row: Row) -> None:
        """Print about ten lines a training."""
        if first and (step % max(1, spec.steps // 10) < 10 or step == spec.steps):
            print(f"{name}: step {step} of {spec.steps}, loss {row['loss']:.3f}", flush=True)

    result = fit(spec, data, checkpoints=CHECKPOINTS, readers=settings.compute.readers, progress=show)
    if not first:
        return trained
    with atomic_folder(trained) as folder:
        monitor = fit_monitor(result.model, data, settings.monitoring)
        save_model(result.model.cpu(), result.description, folder / "model")
        monitor.save(folder / "model")
        write_history(folder / "history.csv", result.run.history)
        result.to_record().write(folder / "train.json")
    run = result.run
    slow = run.waited > _WAITED * run.seconds
    share = f" ({100 * run.waited / run.seconds:.0f} % waiting for data)" if slow else ""
    where = f" on {processes.count} processes" if processes.count > 1 else ""
    print(f"{name}: {run.seconds:.0f} s{where}{share}, validation {result.validation}")
    return trained


if __name__ == "__main__":
    main(cast(Arm, sys.argv[1]))
