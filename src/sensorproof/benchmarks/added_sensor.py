"""What an uninformative sensor costs: trainings with it and without it, paired by seed."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.compare.dataset import prepare_dataset, specify, tune
from sensorproof.compare.jobs import Report, train_and_test
from sensorproof.data.metadata import PreparedMeta, SensorInput, read_meta
from sensorproof.documents import Gain
from sensorproof.errors import UsageError
from sensorproof.evaluation.comparison import compute_gains
from sensorproof.files import atomic_folder, write_json
from sensorproof.settings import Arm, BenchmarkDataset, Settings

Kind = Literal["noise", "constant", "half_broken"]
KINDS: tuple[Kind, ...] = ("noise", "constant", "half_broken")
ARMS: tuple[Arm, ...] = ("baseline", "regularized", "regularized_dropout")


def bench_added_sensor(
    dataset: BenchmarkDataset,
    settings: Settings,
    root: Path,
    workers: int,
    kinds: Sequence[Kind] = KINDS,
    report: Report = print,
) -> dict[str, Gain]:
    """Measure the score with all sensors and an added one, less that of the same training without it.

    Every arm keeps the strength that it was tuned to without the added sensor.

    Args:
        dataset: the data, and the length and seeds of the trainings.
        settings: everything else about the trainings.
        root: the folder of `sensorproof compare`, whose results are used.
        workers: number of processes.
        kinds: of added sensors; see `add_sensor`.
        report: prints one line for each training.

    Returns:
        {"<kind>/<arm>": gain on the test split, in points}.
    """
    folder = root / dataset.name
    prepared = prepare_dataset(dataset, settings, root)
    strengths = tune(dataset, settings, folder, workers, report, ARMS)
    gains = {}
    for kind in kinds:
        extended = root / f"{dataset.name}-{kind}"
        add_sensor(prepared, extended / "prepared", kind)
        for arm in ARMS:
            specs = [specify(arm, strengths[arm], s, dataset.steps, dataset, settings) for s in dataset.seeds]
            without, with_sensor = (train_and_test(specs, place, workers, report) for place in (folder, extended))
            gains[f"{kind}/{arm}"] = compute_gains(with_sensor, without, settings.evaluate.confidence).full
    return gains


def add_sensor(prepared: Path, target: Path, kind: Kind) -> None:
    """Copy prepared data and add a sensor, which is named after its kind.

    Args:
        prepared: the folder of the data.
        target: the folder to write.
        kind: `noise` is normal noise in every frame, `constant` one value everywhere. `half_broken` copies a sensor
            of one channel (the first that is not the reference), with noise instead in a random half of the frames.

    Raises:
        UsageError: there is no sensor to copy.
    """
    meta = read_meta(prepared)
    frames = pd.read_csv(prepared / "frames.csv", keep_default_na=False, dtype={"frame_id": str, "batch": str})
    pixels = _draw_pixels(prepared, meta, len(frames), kind)
    with atomic_folder(target) as folder:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        np.save(folder / f"{kind}.npy", pixels.astype(np.float16))
        frames.assign(**{f"present_{kind}": True}).to_csv(folder / "frames.csv", index=False, lineterminator="\n")
        training = pixels[(frames.split == "train").to_numpy()]
        std = max(float(np.nanstd(training)), 1e-3)
        added = SensorInput(
            kind="other", channels=1, range=(0.0, 1.0), nodata=None, mean=(float(np.nanmean(training)),), std=(std,)
        )
        extended = meta.model_copy(update={"sensors": {**meta.sensors, kind: added}})
        write_json(folder / "meta.json", extended.model_dump(mode="json"))


def _draw_pixels(prepared: Path, meta: PreparedMeta, count: int, kind: Kind) -> NDArray[np.floating]:
    """Draw the added sensor's pixels (count, 1, H, W)."""
    rng = np.random.default_rng(0)
    pixels: NDArray[np.floating] = rng.normal(0.5, 0.2, (count, 1, *meta.size))
    if kind == "constant":
        pixels = np.full_like(pixels, 0.5)
    if kind == "half_broken":
        sources = [n for n, s in sorted(meta.sensors.items()) if s.channels == 1 and n != meta.reference]
        if not sources:
            fault = f"the data set has no sensor of one channel to copy besides its reference {meta.reference}"
            raise UsageError("--kind half_broken", fault, "choose noise or constant")
        whole = rng.random(count) < 0.5
        pixels[whole] = np.load(prepared / f"{sources[0]}.npy", mmap_mode="r", allow_pickle=False)[whole]
    return pixels
