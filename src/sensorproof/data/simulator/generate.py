"""A whole batch: sites, sequences and frames, written by several processes, whole or not at all."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.batch import check_free, write_batch
from sensorproof.data.simulator.failures import draw_failure
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.layout import make_drive, make_scene, make_style
from sensorproof.data.simulator.render import Sequence, render
from sensorproof.data.simulator.sensors import CLOCKS, RATE, batch_info, draw_offset
from sensorproof.data.simulator.weather import DRIVEN_IN
from sensorproof.errors import UsageError
from sensorproof.files import atomic_folder

_FIRST_DAY = datetime(2025, 3, 3, tzinfo=UTC)
_EXTENSION = {"camera": "png", "thermal": "png", "depth": "png", "lidar": "npy"}
SMALLEST, LARGEST = 16, 2048


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate. Two plans that differ in `workers` alone give the same bytes."""

    name: str
    size: tuple[int, int] = (128, 160)
    sites: int = 16
    sequences: int = 4
    """Of each site; all of them together take the conditions in turn."""
    frames: int = 6
    """Of each sequence."""
    seed: int = 0
    site_offset: int = 0
    """Number of the first site: sites of other numbers are other places."""
    failures: float = 0.1
    """Share of the frames on which a sensor fails or is missing."""

    def check(self) -> None:
        """Raise UsageError where a figure makes no sense."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            raise UsageError("name", f"is {self.name!r}", "use letters, digits, - and _, at most 64")
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise UsageError("size", f"is {self.size}", f"give height and width from {SMALLEST} to {LARGEST}")
        for key in ("sites", "sequences", "frames"):
            if getattr(self, key) < 1:
                raise UsageError(key, f"is {getattr(self, key)}", "give at least 1")
        for key in ("seed", "site_offset"):
            if getattr(self, key) < 0:
                raise UsageError(key, f"is {getattr(self, key)}", "give 0 or more")
        if not 0 <= self.failures <= 1:
            raise UsageError("failures", f"is {self.failures}", "give a share from 0 to 1")


def simulate_batch(out: Path, plan: SimulationConfig, workers: int = 1, force: bool = False) -> None:
    """Write the batch that `plan` describes to the folder `out`, whole or not at all.

    Args:
        workers: processes to share the sequences among.
        force: replace a batch that is there already.

    Raises:
        UsageError: the plan makes no sense, or out is taken.
    """
    plan.check()
    check_free(out, force)
    tasks = [(site, sequence) for site in range(plan.sites) for sequence in range(plan.sequences)]
    with atomic_folder(out) as folder:
        rows = [row for part in run(folder, plan, tasks, workers) for row in part]
        write_batch(folder, batch_info(plan.name, Pinhole(*plan.size)), pd.DataFrame(rows))


def run(
    folder: Path, plan: SimulationConfig, tasks: list[tuple[int, int]], workers: int
) -> Iterator[list[dict[str, object]]]:
    """Write every sequence and yield its rows, in the order of tasks."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from (_write_sequence(folder, plan, *task) for task in tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(_write_sequence, folder, plan, *task) for task in tasks]
        try:
            yield from (part.result() for part in parts)
        finally:
            pool.shutdown(cancel_futures=True)


def generator(plan: SimulationConfig, *key: int) -> np.random.Generator:
    """Random numbers of their own for each site, sequence and frame, so that the order of work does not matter."""
    return np.random.default_rng([plan.seed, plan.site_offset + key[0], *key[1:]])


def _write_sequence(folder: Path, plan: SimulationConfig, site: int, sequence: int) -> list[dict[str, object]]:
    """Render one sequence into folder and return its rows of frames.csv."""
    number = plan.site_offset + site
    style = make_style(generator(plan, site))
    rng = generator(plan, site, sequence + 1)
    drive = make_drive(style, rng)
    weather = DRIVEN_IN[(site * plan.sequences + sequence) % len(DRIVEN_IN)]
    scene = make_scene(drive, plan.frames / RATE, rng)
    columns = generator(plan, site, 0).standard_normal(plan.size[1]).astype(np.float32)
    world = Sequence(scene, drive, weather, Pinhole(*plan.size), columns)
    start = _FIRST_DAY.timestamp() + 86400 * number + 3600 * (weather.hour + sequence / 4)
    start += float(rng.uniform(0, 600))
    place, drive_name = f"site-{number:02d}", f"site-{number:02d}-{sequence:02d}"
    rows = []
    for k in range(plan.frames):
        noise = generator(plan, site, sequence + 1, k + 1)
        failure = draw_failure(plan.failures, noise)
        offsets = {sensor: draw_offset(sensor, noise) for sensor in CLOCKS}
        frame = render(world, k / RATE, offsets["lidar"], failure, noise)
        identity = f"{drive_name}-{k:03d}"
        row: dict[str, object] = {
            "frame_id": identity,
            "sequence": drive_name,
            "site": place,
            "condition": "+".join(filter(None, (weather.name, failure))),
            "label": save(folder, f"label/{identity}.png", frame.label),
        }
        for sensor in CLOCKS:
            path = f"{sensor}/{identity}.{_EXTENSION[sensor]}"
            there = sensor in frame.images
            row[sensor] = save(folder, path, frame.images[sensor]) if there else ""
            row[f"{sensor}_time"] = start + k / RATE + offsets[sensor] if there else np.nan
        rows.append(row)
    return rows


def save(folder: Path, relative: str, image: NDArray) -> str:
    """Write an image as its extension says and return its relative path."""
    path = folder / relative
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image, allow_pickle=False)
    else:
        Image.fromarray(image).save(path, compress_level=4)
    return relative


def default_workers() -> int:
    """As many processes as there are processors to run them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
