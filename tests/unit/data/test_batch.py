"""write_batch takes what read_batch gives back, and names what is wrong with its arguments."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.batches import Edit, info_of, put, remove
from sensorproof.data.batch import BatchInfo, check_free, read_batch, write_batch
from sensorproof.errors import UsageError
from sensorproof.files import parse_yaml


def table() -> pd.DataFrame:
    row: dict[str, Any] = {"frame_id": "f0", "sequence": "q", "site": "yard", "condition": "", "label": ""}
    for name in ("camera", "thermal", "lidar"):
        row |= {name: f"{name}.npy", f"{name}_time": 1.5}
    return pd.DataFrame([row, row | {"frame_id": "f1", "lidar": "", "lidar_time": None}])


@pytest.mark.parametrize("folder", ["yard", "deep/yard"])
def test_plain_values_and_a_typed_description_give_the_same_batch(tmp_path: Path, folder: str) -> None:
    info = BatchInfo.model_validate(info_of("yard"))
    write_batch(str(tmp_path / folder), info, table())
    write_batch(tmp_path / "plain", info_of("yard"), table())
    first, second = read_batch(str(tmp_path / folder)), read_batch(tmp_path / "plain")
    assert first.info == second.info == info
    assert first.frames.equals(second.frames)
    assert first.frames.lidar_time.tolist() == pytest.approx([1.5, np.nan], nan_ok=True)


def test_values_of_python_and_numpy_are_written_as_plain_ones(tmp_path: Path) -> None:
    info = info_of("yard")
    calibration = {"K": tuple(np.eye(3).ravel()), "T_ref": tuple(np.eye(4).ravel()), "captured": date(2025, 2, 24)}
    info["sensors"]["camera"] |= {"range": (np.float64(0), np.float64(255)), "calibration": calibration}
    write_batch(tmp_path, info, table())
    written = parse_yaml((tmp_path / "batch.yaml").read_text())["sensors"]["camera"]
    assert written["range"] == [0.0, 255.0]
    assert read_batch(tmp_path).sensors["camera"].calibration.captured == date(2025, 2, 24)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (put("name", value="two words"), "name: "),
        (put("colour", value=1), "colour: unknown key"),
        (remove("sensors", "camera", "range"), "sensors.camera.range: missing"),
        (put("sensors", "camera", "range", value=[0, float("nan")]), "sensors.camera.range.1"),
        (put("reference", value="radar"), "reference 'radar' is not among the sensors"),
        (put(3, value=1), "3: unknown key"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, edit: Edit, fault: str) -> None:
    info = info_of("yard")
    edit(info)
    with pytest.raises(UsageError, match=r"^info: ") as caught:
        write_batch(tmp_path / "new", info, table())
    assert fault in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        (table().drop(columns="site"), "columns ['site'] are missing"),
        (table().drop(columns="lidar_time"), "columns ['lidar_time'] are missing"),
        (table().assign(radar=""), "columns ['radar'] are unknown"),
    ],
)
def test_a_table_with_other_columns_is_refused(tmp_path: Path, frames: pd.DataFrame, fault: str) -> None:
    with pytest.raises(UsageError, match=r"^frames: ") as caught:
        write_batch(tmp_path / "new", info_of("yard"), frames)
    assert fault in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_only_a_batch_may_be_replaced_and_only_by_force(tmp_path: Path) -> None:
    write_batch(tmp_path / "yard", info_of("yard"), table())
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "new", force=False)
    check_free(tmp_path / "empty", force=False)
    check_free(tmp_path / "yard", force=True)
    (tmp_path / "file").touch()
    for path, force in ((tmp_path / "yard", False), (tmp_path, True), (tmp_path / "file", True)):
        with pytest.raises(UsageError):
            check_free(path, force)
