"""A model and its monitor, fitted on the moving scenes of `helpers.monitored_scenes`."""

from pathlib import Path

import pytest

from helpers.monitored_scenes import SETTINGS, Images, make_model, stream_of, write_scenes
from sensorproof.data.dataset import PreparedDataset
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.models import Segmenter, save_model
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.monitoring.monitor import Monitor


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return PreparedDataset(write_scenes(tmp_path_factory.mktemp("scenes") / "prepared"))


@pytest.fixture(scope="session")
def frames(data: PreparedDataset) -> PreparedFrames:
    """Two sequences; the last frame has no depth."""
    return PreparedFrames.of_split(data, "val")


@pytest.fixture(scope="session")
def model() -> Segmenter:
    return make_model()[0]


@pytest.fixture(scope="session")
def monitor(model: Segmenter, data: PreparedDataset) -> Monitor:
    return fit_monitor(model, data, SETTINGS)


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, model: Segmenter, monitor: Monitor) -> Path:
    """A model folder with the monitor."""
    folder = tmp_path_factory.mktemp("stored") / "model"
    save_model(model, make_model()[1], folder)
    monitor.save(folder)
    return folder


@pytest.fixture(scope="session")
def sound() -> Images:
    """A stream of a site that no training frame shows."""
    return stream_of(7, 0, 10)[0]
