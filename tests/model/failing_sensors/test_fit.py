"""Fitting a monitor: the same for the same seed, on few frames and on many."""

import numpy as np
import pytest
import torch

from helpers.monitored_scenes import SENSORS, SETTINGS, Images, break_, failing, watch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.models import Segmenter
from sensorproof.monitoring import fit
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.monitoring.measures import predict_alone
from sensorproof.monitoring.monitor import Monitor
from sensorproof.settings import MonitoringSettings


def test_the_same_seed_fits_the_same_monitor_and_the_model_is_left_as_it_was(
    model: Segmenter, data: PreparedDataset, monitor: Monitor
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    again = fit_monitor(model.train(), data, SETTINGS)
    assert again.hash == monitor.hash
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert fit_monitor(model, data, SETTINGS, seed=1).hash != monitor.hash
    strict = fit_monitor(model, data, MonitoringSettings(false_alarms=0.0001))
    assert strict.description.mismatch_threshold > monitor.description.mismatch_threshold
    for name, sensor in strict.description.sensors.items():
        loose = monitor.description.sensors[name].normal
        assert sensor.normal.range_threshold is not None
        assert loose.range_threshold is not None
        assert sensor.normal.range_threshold > loose.range_threshold


def test_a_monitor_says_what_it_was_fitted_on(monitor: Monitor, model: Segmenter, data: PreparedDataset) -> None:
    rows = data.rows("train")
    assert monitor.description.frames == len(rows) + len(data.rows("val"))
    assert {name: sensor.kind for name, sensor in monitor.description.sensors.items()} == {n: n for n in SENSORS}
    assert [pair.sensors for pair in monitor.description.pairs] == [
        *(("camera", "depth"), ("camera", "thermal"), ("depth", "thermal"))
    ]
    assert all(pair.agreement.edges > 0 for pair in monitor.description.pairs)
    with torch.inference_mode():
        maps = predict_alone(model, model.encode(data.batch(rows).inputs))
    for name, usual in monitor.usual_maps.items():  # of frames that have the sensor
        here = data.present[name][rows]
        np.testing.assert_allclose(usual, maps[name][here].mean(0), atol=1e-3)


def test_of_many_frames_runs_are_taken_all_over() -> None:
    rows = np.arange(20_000)
    chosen = fit._spread(rows)
    assert len(chosen) <= 1.1 * fit._MOST_FRAMES
    assert (chosen[0], chosen[-1]) == (0, 19_999)
    assert (np.diff(chosen) == 1).mean() > 0.9  # frames that follow one another
    assert np.diff(chosen).max() < 1000
    np.testing.assert_array_equal(fit._spread(rows[:1024]), rows[:1024])


def test_frames_are_paired_with_those_of_other_sequences() -> None:
    rng = np.random.default_rng(0)
    sequences = np.repeat(["a", "b", "c"], [5, 3, 1])
    for _ in range(20):
        order = fit._draw_others(sequences, rng)
        assert (sequences[order] != sequences).all()
    for _ in range(20):
        assert (fit._draw_others(np.full(4, "a"), rng) != np.arange(4)).all()
    assert fit._draw_others(np.array(["a"]), rng).tolist() == [0]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_monitor_is_fitted_on_next_to_nothing(
    frames: int, model: Segmenter, data: PreparedDataset, sound: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It then knows no range and no agreement, but still what shows nothing."""
    rows = {"train": data.rows("train")[:frames], "val": data.rows("val")[:1]}
    monkeypatch.setattr(data, "rows", rows.__getitem__)
    small = fit_monitor(model, data, SETTINGS)
    assert all(not any((p.agreement.edges, p.agreement.predictions)) for p in small.description.pairs)
    assert all(not failing(verdicts) for verdicts in watch(small, model, data, sound))
    black = watch(small, model, data, break_(sound, "thermal", "black"))
    assert all(failing(verdicts) == {"thermal"} for verdicts in black)
    assert black[0]["thermal"].reason == "black"


def test_a_sensor_that_no_training_frame_has_is_no_obstacle(
    model: Segmenter, data: PreparedDataset, sound: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantine may take every frame that has it."""
    without = dict(data.present) | {"depth": np.zeros(len(data.present["depth"]), bool)}
    monkeypatch.setattr(data, "present", without)
    found = watch(fit_monitor(model, data, SETTINGS), model, data, sound)
    assert not any(map(failing, found))
