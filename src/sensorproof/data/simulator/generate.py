"""Generate a whole batch of sites, sequences and frames in several processes, whole or not at all."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.batch import NAME_PATTERN, check_free, write_batch
from sensorproof.data.simulator.failures import draw_failure
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.layout import make_drive, make_scene, make_style
from sensorproof.data.simulator.render import Sequence, render
from sensorproof.data.simulator.sensors import CLOCKS, RATE, batch_info, draw_offset
from sensorproof.data.simulator.weather import SCHEDULE
from sensorproof.errors import UsageError
from sensorproof.files import atomic_folder
from sensorproof.parallel import map_in_order

_FIRST_DAY = datetime(2025, 3, 3, tzinfo=UTC)
_EXTENSION = {"camera": "png", "thermal": "png", "depth": "png", "lidar": "npy"}
_MIN_SIDE, _MAX_SIDE = 16, 2048
"""Sides of the images, in pixels."""


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate. Equal configurations give the same bytes, for any number of processes."""

    name: str
    size: tuple[int, int] = (128, 160)
    """Height and width of the images in pixels."""
    sites: int = 16
    sequences: int = 4
    """Per site. The sequences of all sites take the conditions in turn."""
    frames: int = 6
    """Per sequence."""
    seed: int = 0
    site_offset: int = 0
    """Number of the first site; sites with other numbers are other places."""
    failures: float = 0.1
    """Share of the frames in which a sensor fails or is missing."""

    def check(self) -> None:
        """Check every value.

        Raises:
            UsageError: a value is out of range, or the name cannot be the name of a batch.
        """
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise UsageError("name", f"is {self.name!r}", "use letters, digits, - and _, at most 64")
        if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in self.size):
            raise UsageError("size", f"is {self.size}", f"give height and width from {_MIN_SIDE} to {_MAX_SIDE}")
        for key in ("sites", "sequences", "frames"):
            if getattr(self, key) < 1:
                raise UsageError(key, f"is {getattr(self, key)}", "give at least 1")
        for key in ("seed", "site_offset"):
            if getattr(self, key) < 0:
                raise UsageError(key, f"is {getattr(self, key)}", "give 0 or more")
        if not 0 <= self.failures <= 1:
            raise UsageError("failures", f"is {self.failures}", "give a share from 0 to 1")


def simulate_batch(out: Path, config: SimulationConfig, workers: int = 1, force: bool = False) -> None:
    """Simulate a batch and write it, whole or not at all.

    Args:
        out: the folder to write.
        config: what to simulate.
        workers: processes to share the sequences among.
        force: replace a batch that is there already.

    Raises:
        UsageError: a value of the configuration is out of range, or `out` is in use.
    """
    config.check()
    check_free(out, force)
    tasks = [(site, sequence) for site in range(config.sites) for sequence in range(config.sequences)]
    with atomic_folder(out) as folder:
        parts = map_in_order(partial(_write_sequence, folder, config), tasks, workers)
        rows = [row for part in parts for row in part]
        write_batch(folder, batch_info(config.name, Pinhole(*config.size)), pd.DataFrame(rows))


def _make_rng(config: SimulationConfig, *key: int) -> np.random.Generator:
    """Return a generator for a site, sequence or frame; each has its own, so the order of work does not matter."""
    return np.random.default_rng([config.seed, config.site_offset + key[0], *key[1:]])


def _write_sequence(folder: Path, config: SimulationConfig, task: tuple[int, int]) -> list[dict[str, object]]:
    """Render one sequence (site, number) into folder and return its rows of frames.csv."""
    site, sequence = task
    number = config.site_offset + site
    style = make_style(_make_rng(config, site))
    rng = _make_rng(config, site, sequence + 1)
    drive = make_drive(style, rng)
    weather = SCHEDULE[(site * config.sequences + sequence) % len(SCHEDULE)]
    scene = make_scene(drive, config.frames / RATE, rng)
    columns = _make_rng(config, site, 0).standard_normal(config.size[1]).astype(np.float32)
    world = Sequence(scene, drive, weather, Pinhole(*config.size), columns)
    start = _FIRST_DAY.timestamp() + 86400 * number + 3600 * (weather.hour + sequence / 4)
    start += float(rng.uniform(0, 600))
    place, drive_name = f"site-{number:02d}", f"site-{number:02d}-{sequence:02d}"
    rows = []
    for k in range(config.frames):
        noise = _make_rng(config, site, sequence + 1, k + 1)
        failure = draw_failure(config.failures, noise)
        offsets = {sensor: draw_offset(sensor, noise) for sensor in CLOCKS}
        frame = render(world, k / RATE, offsets["lidar"], failure, noise)
        frame_id = f"{drive_name}-{k:03d}"
        row: dict[str, object] = {
            "frame_id": frame_id,
            "sequence": drive_name,
            "site": place,
            "condition": "+".join(filter(None, (weather.name, failure))),
            "label": _save(folder, f"label/{frame_id}.png", frame.label),
        }
        for sensor in CLOCKS:
            path = f"{sensor}/{frame_id}.{_EXTENSION[sensor]}"
            present = sensor in frame.images
            row[sensor] = _save(folder, path, frame.images[sensor]) if present else ""
            row[f"{sensor}_time"] = start + k / RATE + offsets[sensor] if present else np.nan
        rows.append(row)
    return rows


def _save(folder: Path, relative: str, image: NDArray) -> str:
    """Write an image in the format of its extension and return its relative path."""
    path = folder / relative
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image, allow_pickle=False)
    else:
        Image.fromarray(image).save(path, compress_level=4)
    return relative
