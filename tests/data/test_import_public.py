"""Miniatures of public data sets become batches without loss: pixels, labels, splits, conditions, calibration."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.muses_miniature import CALIBRATION, START_US, camera_matrix, write_muses
from helpers.public_datasets import WRITERS, Truths, write_mfnet_separate
from sensorproof.cli import app
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.importers import PUBLIC
from sensorproof.files import read_json

ALL: dict[str, Callable[[Path], Truths]] = {
    **WRITERS,
    "muses": lambda root: write_muses(root, 6),
    "mfnet (separate)": write_mfnet_separate,
}


def import_all(name: str, source: Path, out: Path, *options: str) -> Batch:
    """Import what is there with the real command; a miniature is never the whole data set."""
    command = ["import", name, str(source), str(out), "--partial", "--workers", "1", *options]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return read_batch(out)


def check(batch: Batch, truths: Truths) -> None:
    """Compare a batch with what the miniature's writer says of it."""
    assert sorted(batch.frames.frame_id) == sorted(truths)
    for k, row in enumerate(batch.frames.itertuples()):
        truth = truths[str(row.frame_id)]
        frame, findings = load_frame(batch, k)
        assert findings == []
        assert sorted(frame.images) == sorted(truth.images)
        for name, image in frame.images.items():
            assert image.shape == truth.images[name].shape
            assert np.allclose(image, truth.images[name], rtol=1e-6, atol=1e-7, equal_nan=True), name
        assert (frame.label is None) == (truth.label is None)
        if frame.label is not None:
            assert np.array_equal(frame.label, truth.label)
        assert (row.split, row.condition) == (truth.split, truth.condition)
        assert {tag: getattr(row, tag) for tag in batch.info.tags} == truth.tags


@pytest.mark.parametrize("name", ALL)
def test_a_batch_refers_to_the_files_as_they_are(name: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "data" / "copy_of_it"
    truths = ALL[name](source)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    batch = import_all(name.split()[0], source, out)
    check(batch, truths)
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    assert batch.source == source
    assert (tmp_path / "data/copy_of_it.source").read_text() == f"{source}\n"
    assert set(batch.info.sensors) == set(next(iter(truths.values())).images)
    assert batch.info.name == "copy_of_it"
    own = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    described = {"batch.yaml", "frames.csv", "files.csv", "import.json"}
    projected = {cell for name in batch.sensors for cell in batch.frames[name] if not cell.startswith("source:")}
    assert own == described | projected
    assert bool(projected) == (name == "muses")
    assert sorted(tmp_path.glob("data/*")) == [out, out.with_name("copy_of_it.source")]
    assert list(tmp_path.glob("data/.*")) == []


@pytest.mark.parametrize("name", ALL)
def test_a_copy_needs_no_source(name: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "copy"
    truths = ALL[name](source)
    import_all(name.split()[0], source, out, "--copy")
    source.rename(tmp_path / "gone")
    batch = read_batch(out)
    assert batch.source is None
    assert not out.with_name("copy.source").exists()
    check(batch, truths)


@pytest.mark.parametrize("name", ["deliver", "nyudepthv2"])
def test_shifted_labels_go_back_to_what_they_were(name: str, tmp_path: Path) -> None:
    truths = WRITERS[name](tmp_path / "source")
    batch = import_all(name, tmp_path / "source", tmp_path / "out")
    for k, frame_id in enumerate(batch.frames.frame_id):
        label = load_frame(batch, k)[0].label
        raw = truths[frame_id].raw
        assert label is not None
        assert raw is not None
        back = np.where(label == 255, 0, label.astype(int) + 1)
        assert np.array_equal(back, np.where(raw == 255, 0, raw))
        assert set(np.unique(label)) == {255, *range(len(batch.info.classes))}
    assert "    0: 255\n    1: 0\n    2: 1\n" in (tmp_path / "out/batch.yaml").read_text()


def test_void_of_muses_is_not_road(tmp_path: Path) -> None:
    write_muses(tmp_path / "source", 5)
    batch = import_all("muses", tmp_path / "source", tmp_path / "out")
    label = load_frame(batch, 0)[0].label
    assert label is not None
    assert {0, 18, 255} <= set(np.unique(label))
    assert batch.info.classes[0].name == "road"
    assert batch.info.ignore_index == 255


def test_muses_has_its_calibration_and_times(tmp_path: Path) -> None:
    write_muses(tmp_path / "source", 5)
    batch = import_all("muses", tmp_path / "source", tmp_path / "out")
    for name in ("event", "lidar", "radar"):
        calibration = batch.sensors[name].calibration
        assert calibration is not None
        assert np.allclose(calibration.pose, CALIBRATION["extrinsics"][f"{name}2rgb"])
        assert np.allclose(calibration.intrinsics, camera_matrix())
        assert calibration.captured.isoformat() == "2022-10-17"
    assert batch.frames.camera_time.iloc[0] == pytest.approx(START_US / 1e6 + 4e-6, abs=1e-5)


def test_muses_without_paths_and_times_is_found_by_its_usual_names(tmp_path: Path) -> None:
    truths = write_muses(tmp_path / "source", 5)
    path = tmp_path / "source/meta.json"
    kept = ("split", "weather", "time_of_day", "path_to_frame_camera")
    meta = {name: {key: scene[key] for key in kept} for name, scene in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(meta))
    batch = import_all("muses", tmp_path / "source", tmp_path / "out")
    check(batch, truths)
    assert all(sensor.calibration is None for sensor in batch.sensors.values())
    assert batch.frames.camera_time.tolist() == [0, 1, 2, 3, 4]


def test_the_counts_are_in_the_summary(tmp_path: Path) -> None:
    WRITERS["deliver"](tmp_path / "source")
    import_all("deliver", tmp_path / "source", tmp_path / "out")
    summary = read_json(tmp_path / "out/import.json")
    assert summary["frames"] == {"train": 4, "val": 4, "test": 4}
    assert summary["official"] == {"train": 3983, "val": 2005, "test": 1897}
    assert summary["labelled"] == 12
    assert summary["conditions"] == {"cloud": 2, "fog": 2, "night": 4, "rain": 2, "sun": 2}
    assert summary["tags"] == {"failure": {"motionblur": 2, "eventlowres": 2, "lidarjitter": 2}}
    assert (summary["missing"], summary["faulty"], summary["warnings"], summary["left_out"]) == ({}, {}, {}, 0)


def test_a_batch_is_the_same_wherever_the_data_set_lies(tmp_path: Path) -> None:
    contents = []
    for place in ("here", "there"):
        write_muses(tmp_path / place / "source", 5)
        out = tmp_path / place / "out"
        import_all("muses", tmp_path / place / "source", out)
        contents.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]
    assert not any(str(tmp_path).encode() in content for content in contents[0].values())


@pytest.mark.parametrize("name", PUBLIC)
def test_the_official_counts_are_those_of_the_papers(name: str, tmp_path: Path) -> None:
    ALL[name](tmp_path)
    totals = {"deliver": 7885, "muses": 2500, "mcubes": 500, "mfnet": 1569, "fmb": 1500, "nyudepthv2": 1449}
    classes = {"deliver": 25, "muses": 19, "mcubes": 20, "mfnet": 9, "fmb": 15, "nyudepthv2": 40}
    layout = PUBLIC[name](tmp_path)
    assert sum(layout.official.values()) == totals[name]
    assert len(layout.info.classes) == classes[name]
