"""`sensorproof bench sensor`: an added sensor is what its kind says."""

from pathlib import Path

import numpy as np
import pytest

from helpers.paths import ROOT
from sensorproof.benchmarks.added_sensor import KINDS, add_sensor
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import read_meta
from sensorproof.data.prepare import prepare
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import UsageError
from sensorproof.files import write_json
from sensorproof.settings import load_settings


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("yard")
    simulate_batch(root / "raw/yard", SimulationConfig("yard", (48, 60), 5, 2, 2, 0, 0, 0.0), 1, False)
    data = load_settings(ROOT / "params.yaml").data.model_copy(update={"raw": str(root / "raw"), "size": [32, 40]})
    prepare(data, root / "prepared")
    return root / "prepared"


@pytest.mark.parametrize("kind", KINDS)
def test_an_added_sensor_is_what_its_kind_says_and_nothing_else_changes(
    prepared: Path, tmp_path: Path, kind: str
) -> None:
    add_sensor(prepared, tmp_path / "changed", kind)  # type: ignore[arg-type]
    before, after = PreparedDataset(prepared), PreparedDataset(tmp_path / "changed")
    assert set(after.meta.sensors) == {*before.meta.sensors, kind}
    assert after.present[kind].all()
    for name in before.meta.sensors:
        np.testing.assert_array_equal(np.load(tmp_path / f"changed/{name}.npy"), np.load(prepared / f"{name}.npy"))
    added = np.load(tmp_path / f"changed/{kind}.npy").astype(np.float32)
    assert (float(np.nanstd(added)) == 0.0) == (kind == "constant")
    if kind == "half_broken":
        copies = [np.load(prepared / f"{n}.npy") for n, s in before.meta.sensors.items() if s.channels == 1]
        same = [np.array([np.array_equal(a, b, equal_nan=True) for a, b in zip(added, c, strict=True)]) for c in copies]
        assert any(0 < each.sum() < len(each) for each in same), "some frames are whole and some are noise"


def test_where_no_sensor_can_be_broken_in_half_it_is_said(prepared: Path, tmp_path: Path) -> None:
    meta = read_meta(prepared)
    alone = meta.model_copy(update={"sensors": {meta.reference: meta.sensors[meta.reference]}})
    for path in prepared.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_json(tmp_path / "meta.json", alone.model_dump(mode="json"))
    with pytest.raises(UsageError, match="choose noise or constant"):
        add_sensor(tmp_path, tmp_path / "changed", "half_broken")
