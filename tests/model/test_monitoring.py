"""A monitor of a model: fitted, stored, loaded, and judging streams of frames in which a sensor fails."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from helpers.monitored_scenes import CHANNELS, CLASSES, SETTINGS, SIZE, make_model, stream_of, write_scenes
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.preprocessing import standardize
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.failures import FAILURES, Context
from sensorproof.models import Segmenter, load_model, save_model
from sensorproof.monitoring import fit
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.monitoring.measures import predict_alone
from sensorproof.monitoring.monitor import Monitor, has_monitor, load_monitor
from sensorproof.monitoring.normal_range import PARTLY_LOST
from sensorproof.monitoring.stream import FROZEN, Verdict
from sensorproof.serving.predictor import load_predictor
from sensorproof.settings import MonitoringSettings

Pixels = dict[str, NDArray[np.floating]]
SENSORS = sorted(CHANNELS)
BROKEN: dict[str, Callable[[Path], object]] = {
    "no description": lambda folder: (folder / "monitor.json").unlink(),
    "no maps": lambda folder: (folder / "monitor.safetensors").unlink(),
    "no JSON": lambda folder: (folder / "monitor.json").write_text("{"),
    "bytes": lambda folder: (folder / "monitor.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda folder: (folder / "monitor.json").write_text("[]"),
    "an unknown key": lambda folder: change(folder, lambda d: d.update(more=1)),
    "a missing key": lambda folder: change(folder, lambda d: d.pop("pairs")),
    "no sensor": lambda folder: change(folder, lambda d: d.update(sensors={})),
    "another sensor": lambda folder: change(folder, lambda d: d["sensors"].update(x=d["sensors"].pop("depth"))),
    "a word": lambda folder: change(folder, lambda d: d["sensors"]["depth"]["normal"].update(empty="much")),
    "a statistic too few": lambda folder: change(folder, lambda d: d["sensors"]["depth"]["normal"]["low"].pop()),
    "a ragged matrix": lambda folder: change(folder, lambda d: d["sensors"]["depth"]["normal"]["whitening"][3].pop()),
    "cut maps": lambda folder: (folder / "monitor.safetensors").write_bytes(b"\x08\x00\x00"),
    "empty maps": lambda folder: (folder / "monitor.safetensors").write_bytes(b""),
    "a map too few": lambda folder: change_maps(folder, lambda maps: maps.pop("depth")),
    "a map of two axes": lambda folder: change_maps(folder, lambda maps: maps.update(depth=maps["depth"][0])),
    "a map of other numbers": lambda folder: change_maps(
        folder, lambda maps: maps.update(depth=maps["depth"].astype(np.float64))
    ),
    "maps of another size": lambda folder: change_maps(folder, lambda maps: maps.update(depth=maps["depth"][:, 1:])),
    "maps of other classes": lambda folder: change_maps(folder, lambda maps: maps.update(depth=maps["depth"][1:])),
    "another model's sensors": lambda folder: forget(folder, "depth"),
}


def change(folder: Path, edit: Callable[[Any], object]) -> None:
    """Change monitor.json."""
    path = folder / "monitor.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def change_maps(folder: Path, edit: Callable[[dict[str, NDArray[Any]]], object]) -> None:
    """Change monitor.safetensors."""
    maps = load_file(folder / "monitor.safetensors")
    edit(maps)
    save_file({name: np.ascontiguousarray(each) for name, each in maps.items()}, folder / "monitor.safetensors")


def forget(folder: Path, sensor: str) -> None:
    """Make it a monitor of fewer sensors."""
    change(folder, lambda d: d["sensors"].pop(sensor))
    change_maps(folder, lambda maps: maps.pop(sensor))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return PreparedDataset(write_scenes(tmp_path_factory.mktemp("scenes") / "prepared"))


@pytest.fixture(scope="module")
def model() -> Segmenter:
    return make_model()[0]


@pytest.fixture(scope="module")
def monitor(model: Segmenter, data: PreparedDataset) -> Monitor:
    return fit_monitor(model, data, SETTINGS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, model: Segmenter, monitor: Monitor) -> Path:
    """A model folder with the monitor."""
    folder = tmp_path_factory.mktemp("stored") / "model"
    save_model(model, make_model()[1], folder)
    monitor.save(folder)
    return folder


def watch(monitor: Monitor, model: Segmenter, data: PreparedDataset, pixels: Pixels) -> list[dict[str, Verdict]]:
    """Verdicts on the frames of a stream, all in one pass."""
    present = {name: np.asarray(np.isfinite(images).any((1, 2, 3))) for name, images in pixels.items()}
    inputs = {name: standardize(images, data.meta.sensors[name]) for name, images in pixels.items()}
    with torch.inference_mode():
        features = model.encode(inputs)
    measured = monitor.measure(pixels, present, features, model)
    stream = monitor.open_stream()
    return [monitor.judge(measured, row, stream) for row in range(len(measured.evidence))]


def failing(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.failing}


def break_(pixels: Pixels, sensor: str, kind: str) -> Pixels:
    """Break a sensor of a stream; `other_frame` shows another site."""
    own = pixels[sensor].astype(np.float32)
    other = stream_of(2, 1, len(own))[0][sensor].astype(np.float32)
    context = Context(np.repeat(own[:1], len(own), 0), own, other, np.random.default_rng(0))
    return pixels | {sensor: FAILURES[kind](own, context).astype(np.float16)}


@pytest.fixture(scope="module")
def sound() -> Pixels:
    """A stream of a site that no training frame shows."""
    return stream_of(7, 0, 10)[0]


def test_sound_sensors_of_a_new_site_are_used(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
) -> None:
    for verdicts in watch(monitor, model, data, sound):
        assert sorted(verdicts) == SENSORS
        assert not failing(verdicts)


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("kind", ["black", "bright", "noise", "half_lost"])
def test_a_broken_image_is_noticed_at_once(
    sensor: str, kind: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
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
    sensor: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
) -> None:
    found = watch(monitor, model, data, break_(sound, sensor, "frozen"))
    assert failing(found[0]) == set()
    assert all(failing(verdicts) == {sensor} for verdicts in found[1:])
    assert found[1][sensor].reason == FROZEN


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("kind", ["other_frame", "shifted"])
def test_a_sensor_that_does_not_match_the_two_others_is_noticed_in_a_few_frames(
    sensor: str, kind: str, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
) -> None:
    late = watch(monitor, model, data, break_(sound, sensor, kind))[5:]
    assert all(failing(verdicts) == {sensor} for verdicts in late)
    reasons = [verdicts[sensor].reason for verdicts in late]
    assert set(reasons) <= {"displaced", "shows another scene, or is displaced"}
    if kind == "shifted":
        assert reasons.count("displaced") > len(reasons) / 2


def test_a_sensor_that_a_frame_lacks_has_no_verdict(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
) -> None:
    depth = sound["depth"].copy()
    depth[2] = np.nan
    found = watch(monitor, model, data, sound | {"depth": depth})
    assert [sorted(verdicts) for verdicts in found[:3]] == [SENSORS, SENSORS, ["camera", "thermal"]]
    camera = {"camera": sound["camera"]}
    assert all(verdicts == {"camera": verdicts["camera"]} for verdicts in watch(monitor, model, data, camera))
    assert not any(map(failing, watch(monitor, model, data, camera)))


def test_frames_of_a_pass_do_not_change_one_another(
    monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
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
    frames: int, model: Segmenter, data: PreparedDataset, sound: Pixels, monkeypatch: pytest.MonkeyPatch
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
    model: Segmenter, data: PreparedDataset, sound: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantine may take every frame that has it."""
    without = dict(data.present) | {"depth": np.zeros(len(data.present["depth"]), bool)}
    monkeypatch.setattr(data, "present", without)
    found = watch(fit_monitor(model, data, SETTINGS), model, data, sound)
    assert not any(map(failing, found))


def test_a_stored_monitor_is_the_same(
    stored: Path, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Pixels
) -> None:
    loaded = load_monitor(stored)
    assert loaded is not None
    assert loaded.hash == monitor.hash
    assert loaded.description == monitor.description
    for kind in ("frozen", "shifted", "half_lost"):
        broken = break_(sound, "depth", kind)
        ours, theirs = (watch(each, model, data, broken) for each in (monitor, loaded))
        for a, b in zip(ours, theirs, strict=True):
            assert {n: (v.failing, v.score, v.reason) for n, v in a.items()} == {
                n: (v.failing, v.score, v.reason) for n, v in b.items()
            }


def test_the_hash_is_of_all_that_a_monitor_knows(stored: Path, monitor: Monitor, tmp_path: Path) -> None:
    edits: list[Callable[[Path], object]] = [
        lambda folder: change(folder, lambda d: d.update(mismatch_threshold=d["mismatch_threshold"] + 1e-6)),
        lambda folder: change(folder, lambda d: d["sensors"]["depth"]["normal"].update(roughness=0.5)),
        lambda folder: change_maps(folder, lambda maps: maps.update(depth=maps["depth"] + np.float32(1e-3))),
    ]
    hashes = {monitor.hash}
    for number, edit in enumerate(edits):
        folder = shutil.copytree(stored, tmp_path / str(number))
        edit(folder)
        loaded = load_monitor(folder)
        assert loaded is not None
        hashes.add(loaded.hash)
    assert len(hashes) == 4


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_monitor_is_one_line(fault: str, stored: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stored, tmp_path / "model")
    BROKEN[fault](folder)
    for load in (load_monitor, load_predictor):
        with pytest.raises(SensorproofError, match=r"monitor\.(json|safetensors): ") as caught:
            load(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (130, 260), (5, 300)])
def test_a_monitor_of_any_image_size_fits_its_model(size: tuple[int, int], stored: Path, tmp_path: Path) -> None:
    """The size of the maps that a model's description leads to is that of the maps that the model makes."""
    folder = shutil.copytree(stored, tmp_path / "model")
    model, description = load_model(folder)
    with torch.inference_mode():
        maps = predict_alone(model, model.encode({"depth": torch.zeros(1, 1, *size)}))["depth"][0]
    save_model(model, description.model_copy(update={"size": size}), tmp_path / "other")
    shutil.copy(folder / "monitor.json", tmp_path / "other")
    save_file(dict.fromkeys(SENSORS, maps), tmp_path / "other/monitor.safetensors")
    assert load_monitor(tmp_path / "other") is not None


def test_a_model_of_an_earlier_version_has_no_monitor(stored: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stored, tmp_path / "model")
    assert has_monitor(folder)
    for name in ("monitor.json", "monitor.safetensors"):
        (folder / name).unlink()
    assert not has_monitor(folder)
    assert load_monitor(folder) is None
    assert load_predictor(folder, "cpu").monitor is None
