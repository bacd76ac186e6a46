"""What a sensor that tells little costs the others: trainings with it and without it, paired by seed."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.compare import experiment, prepared_dataset, run_all, tune
from sensorproof.data.metadata import SensorInput, read_meta
from sensorproof.errors import UsageError
from sensorproof.evaluation.comparison import gain
from sensorproof.files import atomic_folder, write_json
from sensorproof.settings import Arm, BenchmarkDataset, Settings

Kind = Literal["noise", "constant", "half_broken"]
KINDS: tuple[Kind, ...] = ("noise", "constant", "half_broken")
ARMS: tuple[Arm, ...] = ("baseline", "regularized", "regularized_dropout")


def bench_added_sensor(
    each: BenchmarkDataset,
    settings: Settings,
    root: Path,
    workers: int,
    kinds: Sequence[Kind] = KINDS,
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """The score of all sensors with an added one, less that of the same training without it, test split, points.

    Every arm keeps the strength that it was tuned to without the added sensor.

    Args:
        root: where `sensorproof compare` keeps its results; those that are there are used.

    Returns:
        {"<kind>/<arm>": {value, ci95}}.
    """
    folder = root / each.name
    prepared = prepared_dataset(each, settings, root)
    strengths = tune(each, settings, folder, workers, say, ARMS)
    figures = {}
    for kind in kinds:
        changed = root / f"{each.name}-{kind}"
        add_sensor(prepared, changed / "prepared", kind)
        for arm in ARMS:
            experiments = [experiment(arm, strengths[arm], seed, each.steps, each, settings) for seed in each.seeds]
            without, with_it = (run_all(experiments, place, workers, True, say) for place in (folder, changed))
            figures[f"{kind}/{arm}"] = gain(with_it, without, settings.evaluate.confidence)["full"]
    return figures


def add_sensor(prepared: Path, target: Path, kind: Kind) -> None:
    """Copy prepared data and give them one sensor more, which is named after its kind.

    `noise` is normal noise in every frame, `constant` one value everywhere; `half_broken` is a copy of a sensor of one
    channel (the first that is not the reference) which has given way to noise in every other frame, at random.
    """
    meta = read_meta(prepared)
    frames = pd.read_csv(prepared / "frames.csv", keep_default_na=False, dtype={"frame_id": str, "batch": str})
    rng = np.random.default_rng(0)
    pixels: NDArray[np.floating] = rng.normal(0.5, 0.2, (len(frames), 1, *meta.size))
    if kind == "constant":
        pixels = np.full_like(pixels, 0.5)
    if kind == "half_broken":
        sources = [n for n, s in sorted(meta.sensors.items()) if s.channels == 1 and n != meta.reference]
        if not sources:
            fault = f"has no sensor of one channel but {meta.reference}, its reference, to break"
            raise UsageError("--kind half_broken", f"the data set {fault}", "take noise or constant")
        whole = rng.random(len(frames)) < 0.5
        pixels[whole] = np.load(prepared / f"{sources[0]}.npy", mmap_mode="r", allow_pickle=False)[whole]
    with atomic_folder(target) as folder:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        np.save(folder / f"{kind}.npy", pixels.astype(np.float16))
        frames.assign(**{f"present_{kind}": True}).to_csv(folder / "frames.csv", index=False, lineterminator="\n")
        seen = pixels[(frames.split == "train").to_numpy()]
        spread = max(float(np.nanstd(seen)), 1e-3)
        added = SensorInput(
            kind="other", channels=1, range=(0.0, 1.0), nodata=None, mean=(float(np.nanmean(seen)),), std=(spread,)
        )
        changed = meta.model_copy(update={"sensors": {**meta.sensors, kind: added}})
        write_json(folder / "meta.json", changed.model_dump(mode="json"))
