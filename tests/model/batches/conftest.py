"""A batch to predict, models with and without a monitor, and what an undisturbed run writes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.predictions import FRAMES, files, finish, start
from helpers.project_artifacts import write_model, write_monitor, write_raw
from sensorproof.data.batch import Batch
from sensorproof.serving.predictor import Predictor, load_predictor


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """One sequence; the camera shows nothing in one frame, and freezes twice: across passes, and across shards."""
    batch = write_raw(tmp_path_factory.mktemp("raw") / "b", ["train"] * FRAMES)
    for first, frozen in ((12, range(13, 19)), (24, range(25, 29))):
        for frame in frozen:
            shutil.copy(batch.root / f"camera/f{first}.png", batch.root / f"camera/f{frame}.png")
    for path in batch.root.glob("depth/*.npy"):  # noise would be a failure, too
        depth = np.load(path)
        np.save(path, np.where(depth > 0, 30 + 0.1 * depth + np.linspace(-10, 10, 45), depth).astype(np.float32))
    Image.new("RGB", (61, 50)).save(batch.root / "camera/f8.png")
    return batch


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a monitor."""
    folder = tmp_path_factory.mktemp("train") / "model"
    write_model(folder, 3)
    write_monitor(folder, tmp_path_factory.mktemp("prepared"))
    return folder


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a monitor."""
    folder = tmp_path_factory.mktemp("train") / "model"
    write_model(folder, 3)
    return folder


@pytest.fixture(scope="session")
def predictor(plain: Path) -> Predictor:
    return load_predictor(plain, "cpu")


@pytest.fixture(scope="session")
def undisturbed(raw: Batch, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that was not interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert finish(start(model, raw.root, out)) == 0
    return files(out)
