"""A stored monitor is the same when it is loaded, or an error of one line."""

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

from helpers.monitored_scenes import (
    SENSORS,
    Images,
    break_,
    watch,
)
from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.models import Segmenter, load_model, save_model
from sensorproof.monitoring.measures import predict_alone
from sensorproof.monitoring.monitor import Monitor, has_monitor, load_monitor
from sensorproof.serving.predictor import load_predictor

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


def test_a_stored_monitor_is_the_same(
    stored: Path, monitor: Monitor, model: Segmenter, data: PreparedDataset, sound: Images
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
