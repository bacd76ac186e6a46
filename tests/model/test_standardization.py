"""By which statistics inputs are standardised is part of a model: wherever it runs, a prediction shows it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from helpers.monitored_scenes import CHANNELS as SCENE_SENSORS
from helpers.monitored_scenes import make_model, stream_of, write_scenes
from helpers.project_artifacts import make_meta, write_model, write_prepared, write_raw
from sensorproof import evaluate
from sensorproof.adapters.mlflow_model import save_packaged
from sensorproof.adapters.mlflow_serving import load_pyfunc
from sensorproof.data.batch import read_batch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import PreparedMeta
from sensorproof.data.prepare import prepare
from sensorproof.errors import SettingsError
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.metrics import confusion, mean_iou
from sensorproof.evaluation.noisy_modality import LEVELS
from sensorproof.evaluation.protocols import score_protocols
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.serving.graph import Graph
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.settings import DataSettings, SplitSettings

Frame = dict[str, NDArray]


def by_frame(meta: PreparedMeta, *names: str) -> PreparedMeta:
    changed = {name: meta.sensors[name].model_copy(update={"standardize": "frame"}) for name in names}
    return meta.model_copy(update={"sensors": {**meta.sensors, **changed}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose camera is standardised by the frame, and its depth by the data set."""
    path = tmp_path_factory.mktemp("train") / "model"
    write_model(path, 3, by_frame(make_meta(), "camera"))
    return path


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return load_predictor(folder, "cpu")


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return load_frame(write_raw(tmp_path_factory.mktemp("raw") / "b"), 0)[0].images


def darker(frame: Frame, sensor: str) -> Frame:
    return {**frame, sensor: 0.5 * frame[sensor] + 10}


def confidence(predictor: Predictor, frame: Frame) -> NDArray[np.float32]:
    return predictor.predict([frame])[0].confidence


def test_a_prediction_does_not_depend_on_the_gain_and_offset_of_a_sensor_by_the_frame(
    predictor: Predictor, frame: Frame, tmp_path: Path
) -> None:
    """But for rounding, as the same network by the data set does."""
    write_model(tmp_path / "usual", 3)
    usual = load_predictor(tmp_path / "usual", "cpu")
    changes = [
        np.abs(confidence(each, darker(frame, "camera")) - confidence(each, frame)).mean()
        for each in (predictor, usual)
    ]
    assert changes[0] < 0.02 * changes[1]
    given = [predictor.tensors([predictor.present(each)])[0] for each in (frame, darker(frame, "depth"))]
    assert torch.equal(given[0]["camera"], given[1]["camera"])
    assert float((given[0]["depth"] - given[1]["depth"]).abs().mean()) > 0.2


def test_training_and_prediction_standardise_alike(predictor: Predictor, tmp_path: Path) -> None:
    """A batch prepared with the setting gives the tensors that the predictor makes of its files."""
    raw = write_raw(tmp_path / "raw/b")
    split = SplitSettings(val=0.2, test=0.2, seed=0)
    settings = DataSettings(
        raw=str(tmp_path / "raw"),
        inbox="",
        quarantine="",
        size=[32, 40],
        standardize={"camera": "frame"},
        full_resolution=False,
        split=split,
    )
    meta, _, _ = prepare(settings, tmp_path / "prepared")
    assert {name: sensor.standardize for name, sensor in meta.sensors.items()} == {
        "camera": "frame",
        "depth": "dataset",
    }
    batch = PreparedDataset(tmp_path / "prepared").batch(np.array([0, 3]))
    inputs, _ = predictor.tensors([predictor.present(load_frame(raw, row)[0].images) for row in (0, 3)])
    torch.testing.assert_close(batch.inputs["camera"], inputs["camera"])
    assert batch.inputs["camera"].mean((2, 3)).abs().max() < 1e-3
    usual, _, _ = prepare(settings.model_copy(update={"standardize": "dataset"}), tmp_path / "usual")
    assert usual.sensors["camera"].mean == meta.sensors["camera"].mean
    for name in ("camera.npy", "depth.npy", "label.npy"):
        assert (tmp_path / "usual" / name).read_bytes() == (tmp_path / "prepared" / name).read_bytes()
    unknown = settings.model_copy(update={"standardize": {"radar": "frame"}})
    with pytest.raises(SettingsError, match=r"data\.standardize: names radar, which no batch has; name some of camera"):
        prepare(unknown, tmp_path / "unknown")


def test_the_graph_that_is_exported_standardises_as_the_predictor(predictor: Predictor, frame: Frame) -> None:
    """Onnx and torch.export trace this module; that their graphs agree with it is tested in tests/integration."""
    graph = Graph(predictor.model, predictor.description).eval()
    rng = np.random.default_rng(0)
    camera = rng.uniform(20, 200, (2, 3, 32, 40)).astype(np.float32)
    depth = rng.uniform(1, 50, (2, 1, 32, 40)).astype(np.float32)
    camera[0, :, 3, :] = np.nan
    depth[1, :, 5:9, :] = 0
    present = torch.tensor([[True, True], [True, False]])
    with torch.inference_mode():
        _, coarse = graph(torch.from_numpy(camera), torch.from_numpy(depth), present)
        frames = [predictor.present({"camera": camera[0], "depth": depth[0]}), predictor.present({"camera": camera[1]})]
        inputs, here = predictor.tensors(frames)
        expected = predictor.model.decode_coarsely(predictor.model.encode(inputs), here)
        dark, _ = graph(torch.from_numpy(0.5 * camera + 10), torch.from_numpy(depth), present)
        light, _ = graph(torch.from_numpy(camera), torch.from_numpy(depth), present)
    torch.testing.assert_close(coarse, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dark, light, atol=0.02, rtol=0)


def test_a_packaged_model_answers_as_the_predictor(
    folder: Path, predictor: Predictor, frame: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow puts the model's own code before ours; processes that are started later must not find it.
    import sys

    monkeypatch.setattr(sys, "path", [*sys.path])
    save_packaged(folder, "A card.", tmp_path / "packaged")
    (answer,) = load_pyfunc(tmp_path / "packaged").predict([darker(frame, "camera")])
    (expected,) = predictor.predict([darker(frame, "camera")])
    np.testing.assert_array_equal(answer["labels"], expected.labels)


def test_an_evaluation_of_raw_frames_standardises_alike(predictor: Predictor, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "b")
    before = evaluate(predictor, raw).subsets
    for path in (raw.root / "depth").iterdir():
        depth = np.load(path)
        np.save(path, np.where(depth == 0, 0, 0.8 * depth + 5))
    after = evaluate(predictor, read_batch(raw.root)).subsets
    assert after["camera"] == before["camera"]
    assert after["depth"] != before["depth"]


def test_noise_is_the_sensors_and_the_same_for_every_model(tmp_path: Path) -> None:
    """Protocol NM adds it in deviations of the data set, before the frame's own statistics are taken."""
    data = PreparedDataset(write_scenes(tmp_path / "prepared"))
    data.meta = by_frame(data.meta, "camera")
    frames = PreparedFrames.of_split(data, "test")
    model, _ = make_model()
    subsets = {subset_name(subset): 0.0 for subset in all_subsets(SCENE_SENSORS)}
    tables = score_protocols(model, frames, subsets, ["nm"], dict.fromkeys(SCENE_SENSORS, 0.0), [1])
    assert tables.nm is not None
    level, sensor = "high", data.meta.sensors["camera"]
    density, sigma = LEVELS[level]
    batch = data.batch(data.rows("test"))
    noisy = []
    for row, image in enumerate(stream_of(6, 0)[0]["camera"].astype(np.float32)):
        rng = np.random.default_rng([0, 0, 0, row])
        draw = rng.random(image.shape, dtype=np.float32)
        salted = np.where(draw < density / 2, image.max(), np.where(draw < density, image.min(), image))
        deviation = np.array(sensor.std, np.float32)[:, None, None]
        noisy.append(salted + sigma * deviation * rng.standard_normal(image.shape, dtype=np.float32))
    images = torch.from_numpy(np.stack(noisy))
    spread, center = images.std((2, 3), correction=0, keepdim=True), images.mean((2, 3), keepdim=True)
    with torch.inference_mode():
        logits = model({**batch.inputs, "camera": ((images - center) / spread).float()}, batch.present)
    expected = mean_iou(confusion(logits, batch.target, 255))
    assert tables.nm[level].sensors["camera"] == pytest.approx(expected, abs=0.05)


def test_a_monitor_of_a_model_by_the_frame_is_fitted_and_finds_a_black_image(tmp_path: Path) -> None:
    from sensorproof.monitoring.fit import fit_monitor
    from sensorproof.settings import MonitoringSettings

    data = PreparedDataset(write_scenes(tmp_path / "prepared"))
    data.meta = by_frame(data.meta, *SCENE_SENSORS)
    model, description = make_model()
    monitor = fit_monitor(model, data, MonitoringSettings(false_alarms=0.01))
    own = description.model_copy(update={"sensors": data.meta.sensors})
    watched = Predictor(model, own, "cpu", monitor)
    scene = {name: images[0].astype(np.float32) for name, images in stream_of(7, 0)[0].items()}
    (sound,) = watched.predict([scene])
    (broken,) = watched.predict([{**scene, "camera": np.zeros_like(scene["camera"])}])
    assert (sound.used, sound.failing) == (("camera", "depth", "thermal"), {})
    assert broken.failing["camera"] == "black"
    assert np.isfinite(broken.confidence).all()


def test_prepared_data_of_earlier_versions_are_standardised_by_the_data_set(tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared")
    assert "standardize" not in (tmp_path / "prepared/meta.json").read_text()
    meta = PreparedDataset(tmp_path / "prepared").meta
    assert {sensor.standardize for sensor in meta.sensors.values()} == {"dataset"}
