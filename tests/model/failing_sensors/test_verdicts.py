"""A monitor judges streams of frames in which a sensor fails."""

import numpy as np
import pytest
import torch

from helpers.monitored_scenes import CLASSES, SENSORS, SIZE, Images, break_, failing, watch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.preprocessing import standardize
from sensorproof.models import Segmenter
from sensorproof.monitoring.measures import predict_alone
from sensorproof.monitoring.monitor import Monitor
from sensorproof.monitoring.normal_range import PARTLY_LOST
from sensorproof.monitoring.stream import FROZEN


def test_sound_sensors_of_a_new_site_are_used(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    for verdicts in watch(monitor, model, data, sound):
        assert sorted(verdicts) == SENSORS
        assert not failing(verdicts)


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("kind", ["black", "bright", "noise", "half_lost"])
def test_a_broken_image_is_noticed_at_once(
    sensor: str, kind: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    broken = break_(sound, sensor, kind)
    for row in range(len(sound["camera"])):  # each frame by itself
        one = {name: images[row : row + 1] for name, images in broken.items()}
        (verdicts,) = watch(monitor, model, data, one)
        assert failing(verdicts) == {sensor}
        if kind == "half_lost":
            usable = verdicts[sensor].usable
            assert verdicts[sensor].reason == PARTLY_LOST
            assert usable is not None
            np.testing.assert_array_equal(usable[3:], False)
            assert usable[:3].mean() > 0.9
        else:
            assert verdicts[sensor].usable is None


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_frozen_sensor_is_noticed_in_its_stream(
    sensor: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    found = watch(monitor, model, data, break_(sound, sensor, "frozen"))
    assert failing(found[0]) == set()
    assert all(failing(verdicts) == {sensor} for verdicts in found[1:])
    assert found[1][sensor].reason == FROZEN


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("kind", ["other_frame", "shifted"])
def test_a_sensor_that_does_not_match_the_two_others_is_noticed_in_a_few_frames(
    sensor: str, kind: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    late = watch(monitor, model, data, break_(sound, sensor, kind))[5:]
    assert all(failing(verdicts) == {sensor} for verdicts in late)
    reasons = [verdicts[sensor].reason for verdicts in late]
    assert set(reasons) <= {"displaced", "shows another scene, or is displaced"}
    if kind == "shifted":
        assert reasons.count("displaced") > len(reasons) / 2


def test_a_sensor_that_a_frame_lacks_has_no_verdict(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    depth = sound["depth"].copy()
    depth[2] = np.nan
    found = watch(monitor, model, data, sound | {"depth": depth})
    assert [sorted(verdicts) for verdicts in found[:3]] == [SENSORS, SENSORS, ["camera", "thermal"]]
    camera = {"camera": sound["camera"]}
    assert all(verdicts == {"camera": verdicts["camera"]} for verdicts in watch(monitor, model, data, camera))
    assert not any(map(failing, watch(monitor, model, data, camera)))


def test_frames_of_a_pass_do_not_change_one_another(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
) -> None:
    broken = break_(sound, "thermal", "other_frame")
    together = watch(monitor, model, data, broken)
    stream = monitor.open_stream()
    for row, expected in enumerate(together):
        one = {name: images[row : row + 1] for name, images in broken.items()}
        inputs = {name: standardize(images, data.meta.sensors[name]) for name, images in one.items()}
        with torch.inference_mode():
            features = model.encode(inputs)
        measured = monitor.measure(one, dict.fromkeys(one, np.ones(1, bool)), features, model)
        verdicts = monitor.judge(measured, 0, stream)
        assert failing(verdicts) == failing(expected)
        for name, verdict in verdicts.items():
            assert verdict.score == pytest.approx(expected[name].score, rel=1e-2)


def test_predictions_of_each_sensor_are_made_together_as_alone(model: Segmenter, data: PreparedDataset) -> None:
    batch = data.batch(np.arange(2))
    with torch.inference_mode():
        together = predict_alone(model, model.encode(batch.inputs))
        assert sorted(together) == SENSORS
        for name, maps in together.items():
            assert maps.shape == (2, CLASSES, SIZE[0] // 4, SIZE[1] // 4)
            features = model.encode({name: batch.inputs[name]})
            np.testing.assert_allclose(maps, predict_alone(model, features)[name], atol=1e-4)
            logs = torch.log_softmax(model.decode_coarsely(features), 1).numpy()
            np.testing.assert_allclose(maps, np.maximum(logs, np.log(1e-3)), atol=1e-4)
        small = {**batch.inputs, "depth": batch.inputs["depth"][..., ::2, ::2]}
        uneven = predict_alone(model, model.encode(small))
        assert uneven["depth"].shape == (2, CLASSES, SIZE[0] // 8, SIZE[1] // 8)
        np.testing.assert_allclose(uneven["camera"], together["camera"], atol=1e-4)
