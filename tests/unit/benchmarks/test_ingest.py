"""The benchmark of ingestion: its frames are a batch that training can use, and its runs say what they took."""

import json
from pathlib import Path

import pytest

from helpers.paths import ROOT
from sensorproof.alignment.measurement import measure_batch
from sensorproof.benchmarks.ingest import _timed, print_run
from sensorproof.benchmarks.ingest_data import write_frames
from sensorproof.data.batch import read_batch
from sensorproof.settings import load_settings


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_frames(tmp_path / "raw/made", 8, (64, 80))
    monkeypatch.chdir(tmp_path)
    return Path("raw")


def test_the_frames_are_a_batch_whose_sensors_agree(raw: Path) -> None:
    batch = read_batch(raw / "made")
    assert (len(batch.frames), batch.frames.site.nunique(), list(batch.sensors)) == (
        8, 4, ["camera", "thermal", "depth", "lidar"],
    )  # fmt: skip
    measurements = measure_batch(batch, load_settings().validation)
    assert len(measurements.contents) == 8
    shifts = measurements.table.shift_x_px.dropna()
    assert len(shifts) > 8
    assert shifts.abs().median() < 0.2


def test_a_run_prints_time_memory_and_a_hash(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for _ in range(2):
        print_run("prepare", "raw/made", "1")
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["hash"] == results[1]["hash"]
    assert results[0]["seconds"] > 0
    assert results[0]["peak_mib"] > 10
    assert list(Path("artifacts/cache/prepared").iterdir())


def test_the_time_of_a_function_is_noted_and_the_function_put_back() -> None:
    spent: list[float] = []
    with _timed(json, "dumps", spent):
        assert json.dumps([1]) == "[1]"
    json.dumps([2])
    assert len(spent) == 1
