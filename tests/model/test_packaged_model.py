"""The packaged model: its identity, its code, and its scores on the data of now."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from helpers.project_artifacts import (
    OPTIONS,
    ROOT,
    SIZE,
    make_meta,
    write_model,
    write_monitor,
    write_prepared,
)
from sensorproof.adapters.mlflow_model import save_packaged
from sensorproof.adapters.mlflow_serving import load_pyfunc
from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json
from sensorproof.models import load_model
from sensorproof.serving.code import PACKAGE, copy_code, needed_files, requirements
from sensorproof.serving.package import hash_model
from sensorproof.serving.predictor import load_predictor
from sensorproof.serving.rescore import rescore
from sensorproof.settings import Settings, load_settings, parse_settings


def test_a_model_is_known_by_its_bytes(tmp_path: Path) -> None:
    write_model(tmp_path / "a", 0)
    write_model(tmp_path / "b", 0)
    write_model(tmp_path / "c", 1)
    assert hash_model(tmp_path / "a") == hash_model(tmp_path / "b") != hash_model(tmp_path / "c")
    weights = tmp_path / "a/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert hash_model(tmp_path / "a") != hash_model(tmp_path / "b")
    weights.unlink()
    with pytest.raises(SensorproofError, match=r"model\.safetensors: is missing"):
        hash_model(tmp_path / "a")


def test_a_packaged_model_carries_the_code_and_libraries_that_it_needs_and_no_more(tmp_path: Path) -> None:
    """That it is enough is shown where a registered model is loaded again."""
    files = needed_files("sensorproof.adapters.mlflow_pyfunc")
    names = {str(path.relative_to(PACKAGE)) for path in files}
    assert {"__init__.py", "serving/predictor.py", "models/segmenter.py", "data/preprocessing.py"} <= names
    assert not [name for name in names if name.startswith(("cli/", "data/simulator/", "alignment/", "reporting/"))]
    copied = copy_code(files, tmp_path)
    assert {str(path.relative_to(copied)) for path in copied.rglob("*.py")} == names
    libraries = dict(line.split("==") for line in requirements(files))
    assert {"mlflow", "torch", "transformers", "safetensors", "numpy"} <= set(libraries)
    assert {"opencv-python-headless", "ruamel.yaml"} <= set(libraries)  # names other than those of their modules
    assert not {"matplotlib", "typer", "dvc", "optuna", "mlflow-tracing"} & set(libraries)
    assert "+" not in libraries["torch"]


def small_settings() -> Settings:
    document = load_settings(ROOT / "params.yaml").model_dump(by_alias=True)
    for section, values in OPTIONS.items():
        document[section] |= values
    return parse_settings(document)


def test_a_model_is_scored_again_with_its_own_statistics(tmp_path: Path) -> None:
    """The same pixels, prepared beside other training data, must give the same score."""
    write_model(tmp_path / "model", 5)
    write_prepared(tmp_path / "then")
    shifted = make_meta().model_dump(mode="json")
    for sensor in shifted["sensors"].values():
        sensor["mean"] = [value + 0.2 for value in sensor["mean"]]
    then = PreparedDataset(tmp_path / "then")
    write_prepared(tmp_path / "now", type(then.meta).model_validate(shifted, strict=False))
    now = PreparedDataset(tmp_path / "now")
    expected = rescore(tmp_path / "model", then, small_settings())
    assert rescore(tmp_path / "model", now, small_settings()).subsets == expected.subsets
    assert now.meta.sensors["depth"].mean == pytest.approx((0.6,))
    assert set(expected.subsets) == {"camera", "depth", "camera+depth"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"size": [16, 40]}, "its image size is 32 x 40 pixels, that of the present data 16 x 40"),
        ({"classes": [{"id": 3, "name": "ground"}, {"id": 13, "name": "box"}, {"id": 23, "name": "sky"}]}, "classes"),
        ({"sensors": {"camera": make_meta().sensors["camera"].model_dump(mode="json")}}, "sensors are"),
    ],
)
def test_a_model_of_another_kind_of_data_is_not_scored(tmp_path: Path, change: dict, fault: str) -> None:
    write_model(tmp_path / "model", 5)
    write_prepared(tmp_path / "prepared")
    data = PreparedDataset(tmp_path / "prepared")
    document = {**read_json(tmp_path / "prepared/meta.json"), **change}
    data.meta = type(data.meta).model_validate(document, strict=False)
    with pytest.raises(SensorproofError, match=fault):
        rescore(tmp_path / "model", data, small_settings())


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    write_model(tmp_path / "model", 0)
    assert load_model(tmp_path / "model")[1].size == SIZE
    (tmp_path / "model/model.json").write_text("{}")
    with pytest.raises(SensorproofError, match="is not a model's description") as caught:
        load_predictor(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_a_request_is_answered_without_a_sensor_that_fails_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitor travels with the model: a black camera by itself, a frozen one where frames are consecutive."""
    # MLflow puts the model's own code before ours; processes that are started later must not find it.
    monkeypatch.setattr(sys, "path", [*sys.path])
    write_model(tmp_path / "model", 0)
    write_monitor(tmp_path / "model", tmp_path / "prepared")
    save_packaged(tmp_path / "model", "A card.", tmp_path / "packaged")
    model = load_pyfunc(tmp_path / "packaged")
    data = PreparedDataset(tmp_path / "prepared")
    sound: list[dict[str, Any]] = []
    for row in range(3):
        frame = {}
        for name, sensor in data.meta.sensors.items():
            low, high = sensor.range
            frame[name] = low + np.asarray(data.images[name][row], np.float32) * (high - low)
        sound.append(frame)
    assert [answer["failing"] for answer in model.predict(sound)] == [{}, {}, {}]
    black = {**sound[0], "camera": np.zeros_like(sound[0]["camera"])}
    (answer,) = model.predict([black])
    assert (answer["used"], answer["left_out"]) == (["depth"], {"camera": "failing: black"})
    for mode, failing in (("report", {"camera": "black"}), ("off", {})):
        (answer,) = model.predict([black], params={"monitor": mode})
        assert (answer["used"], answer["failing"]) == (["camera", "depth"], failing)
    frozen = [{**frame, "camera": sound[0]["camera"]} for frame in sound]
    assert [answer["failing"] for answer in model.predict(frozen)] == [{}, {}, {}]
    answers = model.predict(frozen, params={"consecutive": True})
    assert [answer["failing"] for answer in answers] == [{}, {"camera": "frozen"}, {"camera": "frozen"}]
    with pytest.raises(MlflowException, match="monitor: 'loud' is unknown; use one of"):
        model.predict(sound, params={"monitor": "loud"})


def test_a_changed_monitor_is_another_model(tmp_path: Path) -> None:
    write_model(tmp_path / "model", 0)
    before = hash_model(tmp_path / "model")
    write_monitor(tmp_path / "model", tmp_path / "prepared")
    watched = hash_model(tmp_path / "model")
    assert watched != before
    monitor = tmp_path / "model/monitor.json"
    monitor.write_text(monitor.read_text().replace("0.001", "0.002"))
    assert hash_model(tmp_path / "model") not in (before, watched)
