"""A field day: what the field sends on one day, from the inbox to a new champion. `make field-day` runs it.

It makes a small project in a folder of its own and trains a first champion there. In the morning come a clean batch, a
batch whose thermal camera was knocked, and half an archive; in the afternoon the clean batch again, a new site with
other light and heat, and a batch whose thermal camera freezes half-way. After each, the flow `field_data` runs, with a
Prefect server of its own, as it does every ten minutes in operation. The afternoon's makes a retraining due. At the end
stand the ledger, the drift history, the decision and the registry.

The trainings are far too short to be good, so the gates are open: what is shown is the way, not the scores.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sensorproof.alignment.fault_injection import shift, warp
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.ingestion.ledger import read_entries

ROOT = Path(__file__).resolve().parents[1]
SIZE = (96, 120)
REFUSED = 4
"""The exit code of a flow that refused something."""
SETTINGS = """\
data: {size: [48, 60]}
model: {decoder_channels: 16}
train:
  {arms: [baseline, regularized_dropout], seeds: [0, 1], steps: 40, batch_size: 8, checkpoint_every: 40, device: cpu}
search: {enabled: false}
evaluate: {protocols: []}
report: {examples: 1}
promotion:
  resamples: 200
  min_gain_baseline: -100.0
  min_gain_champion: -100.0
  max_loss_full: 100.0
  min_worst: 0.0
  max_loss_class: 100.0
  max_loss_site: 100.0
  max_loss_condition: 100.0
  max_loss_silent: 100.0
  max_false_alarms: 1.0
  max_time_ratio: 20.0
schedule:
  retrain_when: {new_frames: 60, drifted_batches: 1, alarms: 0.5, days: 30.0}
"""
"""What differs from the project's params.yaml."""


def make_project(root: Path) -> None:
    """Copy what a checkout holds, without data and results, and make it small."""
    for name in ("pipelines", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (root / ".dvc").mkdir()
    for name in ("dvc.yaml", "params.yaml", "prefect.toml", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, root / name)
    for name in ("raw", "inbox", "quarantine"):
        (root / "data" / name).mkdir(parents=True)
    (root / "field_day.yaml").write_text(SETTINGS)


def run(root: Path, *command: str, expected: int = 0) -> None:
    """Run a command in the project; end the day if it ends otherwise than expected."""
    own = ("PREFECT_HOME", "PREFECT_API_URL", "MLFLOW_TRACKING_URI", "DVC_SITE_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment |= {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    done = subprocess.run(command, cwd=root, env=environment, stderr=subprocess.STDOUT, check=False)
    if done.returncode != expected:
        raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}; look into {root}")


def simulate(folder: Path, site: int, sites: int, sequences: int, frames: int) -> Path:
    """Simulate a batch without failures; its name is the folder's."""
    simulate_batch(folder, SimulationConfig(folder.name, SIZE, sites, sequences, frames, 5, site, 0.0), 2)
    return folder


def change_images(batch: Path, sensor: str, change: Callable[[NDArray, int], NDArray]) -> None:
    """Replace every image of a sensor: `change` gets its pixels and the row of frames.csv."""
    for row, relative in enumerate(pd.read_csv(batch / "frames.csv")[sensor]):
        pixels = np.asarray(Image.open(batch / relative))
        Image.fromarray(change(pixels, row).astype(pixels.dtype)).save(batch / relative)


def knock(batch: Path) -> Path:
    """Turn the thermal camera away: all its images show the scene nine pixels further right."""
    change_images(batch, "thermal", lambda pixels, row: warp(pixels, shift(9, 0)))
    return batch


def darken_and_heat(batch: Path) -> Path:
    """Give a batch another light and another climate."""
    change_images(batch, "camera", lambda pixels, row: 0.35 * pixels)
    change_images(batch, "thermal", lambda pixels, row: np.minimum(1.08 * pixels, 65535))
    return batch


def freeze(batch: Path) -> Path:
    """Let the thermal camera repeat its image from the middle of the last drive on."""
    table = pd.read_csv(batch / "frames.csv")
    files = table.thermal[table.sequence == table.sequence.iloc[-1]].tolist()
    for late in files[len(files) // 2 :]:
        shutil.copy(batch / files[len(files) // 2 - 1], batch / late)
    return batch


def tear(batch: Path) -> Path:
    """Pack a batch and keep the first half of the archive, as after a broken transfer."""
    archive = Path(shutil.make_archive(str(batch), "gztar", batch))
    shutil.rmtree(batch)
    with archive.open("rb+") as file:
        file.truncate(archive.stat().st_size // 2)
    return archive


def send(root: Path, *sources: Path) -> None:
    """Put batches into the inbox, each whole: under a hidden name first."""
    for source in sources:
        hidden = root / "data/inbox" / f".{source.name}"
        shutil.copytree(source, hidden) if source.is_dir() else shutil.copy(source, hidden)
        hidden.rename(hidden.with_name(source.name))


def spend_day(root: Path) -> None:
    """Run the whole day in a new folder."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"\n== {time.monotonic() - started:4.0f} s  {text}", flush=True)

    say(f"a small project in {root}")
    make_project(root)
    run(root, "sensorproof", "configure", "field_day.yaml")
    simulate(root / "data/raw/base", 0, 6, 2, 4)
    say("the evening before: the first champion")
    run(root, sys.executable, "pipelines/flows/retraining.py")

    sent = root / "sent"
    monday = simulate(sent / "monday", 10, 3, 2, 4)
    say("morning: a clean batch, one with a knocked camera, half an archive")
    send(root, monday, knock(simulate(sent / "knocked", 20, 3, 2, 4)), tear(simulate(sent / "torn", 30, 3, 1, 4)))
    run(root, sys.executable, "pipelines/flows/field_data.py", expected=REFUSED)

    say("afternoon: the clean batch again, a new site with drift, a camera that freezes half-way")
    again = shutil.copytree(monday, sent / "monday_again")
    harbour = darken_and_heat(simulate(sent / "harbour", 40, 1, 4, 5))
    send(root, Path(again), harbour, freeze(simulate(sent / "frozen", 50, 3, 2, 6)))
    run(root, sys.executable, "pipelines/flows/field_data.py", expected=REFUSED)

    say("the ledger")
    for entry in read_entries(root / "data/ingested.jsonl"):
        frames = f", {entry.frames} frames, {entry.quarantined} in quarantine" if entry.frames else ""
        print(f"{entry.action} {entry.batch}{frames}{f': {entry.reason}' if entry.reason else ''}", flush=True)
    say("the drift history, and whether to retrain now")
    run(root, "sensorproof", "drift")
    say("the registry")
    run(root, "sensorproof", "registry", "status")
    run(root, "sensorproof", "registry", "history")
    say(f"done; report and history are in {root / 'artifacts'}")


def main() -> None:
    """Run the day in a folder that does not exist yet, by default a temporary one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to make the project; by default a temporary folder")
    folder = parser.parse_args().folder
    if folder is None:
        spend_day(Path(tempfile.mkdtemp(prefix="sensorproof-field-day-")) / "project")
    elif folder.exists():
        parser.error(f"{folder} exists already; name a new folder")
    else:
        spend_day(folder.resolve())


if __name__ == "__main__":
    main()
