"""Frames are measured and prepared once, by any number of processes, with the same result to the bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic_scenes import checks, settings, write_synthetic_batch
from sensorproof import parallel
from sensorproof.alignment import known_statistics, measured, shards
from sensorproof.alignment.known_statistics import Measuring
from sensorproof.alignment.measured import measure
from sensorproof.alignment.measurement import BatchMeasurements, measure_batch
from sensorproof.alignment.training_statistics import training_statistics
from sensorproof.cache import _pack, load_tree
from sensorproof.data import prepare_shards
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.fingerprint import fingerprint
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.prepare import prepare, preparing_tasks
from sensorproof.settings import DataSettings
from sensorproof.validation import measuring_tasks, validate_batch

FRAMES, SEQUENCES = 23, 3


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are so small that each sequence spans several, and a shard several sequences."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "SHARD_FRAMES", 5)
    monkeypatch.setattr(known_statistics, "_TASK_FRAMES", 5)
    monkeypatch.setattr(prepare_shards, "_SHARD_FRAMES", 5)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    root = write_synthetic_batch(tmp_path / "data/raw/first", FRAMES, SEQUENCES)
    (root / "other" / "9.png").unlink()
    (root / "camera" / "14.png").write_bytes(b"no image")
    return root


def same(first: BatchMeasurements, second: BatchMeasurements) -> bool:
    tables = [(a.table, a.statistics, a.registrations) for a in (first, second)]
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    return first.contents == second.contents and packed_rigs(first) == packed_rigs(second)


def packed_rigs(measurements: BatchMeasurements) -> tuple[str, list[bytes]]:
    """The rigs as they are stored: to the bit, and NaN equals NaN."""
    arrays: dict[str, Any] = {}
    document = _pack({name: rig.to_tree() for name, rig in measurements.rigs.items()}, arrays)
    return json.dumps(document), [array.tobytes() for array in arrays.values()]


def test_two_processes_measure_what_one_does(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serial = measure(read_batch(batch), checks(), Measuring(1, measured=Path("m1")))
    monkeypatch.setattr(parallel, "_FEW_TASKS", 0)
    assert same(serial, measure(read_batch(batch), checks(), Measuring(2, measured=Path("m2"))))
    assert same(serial, measure_batch(read_batch(batch), checks()))
    assert not list(Path("artifacts/cache/shards").iterdir())


def test_the_length_of_the_shards_changes_last_digits_at_most(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours, sequences and sums go across the borders of shards."""
    short = measure_batch(read_batch(batch), checks()).table
    monkeypatch.setattr(shards, "SHARD_FRAMES", 1000)
    whole = measure_batch(read_batch(batch), checks()).table
    for column in whole.columns:
        if whole[column].dtype.kind == "f":
            np.testing.assert_allclose(short[column], whole[column], rtol=1e-4, atol=1e-5, err_msg=column)
        else:
            assert (short[column] == whole[column]).all()


def test_a_batch_is_measured_once_whatever_its_folder_is_called(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = measure(read_batch(batch), checks(), Measuring())
    monkeypatch.setattr(shards, "read_frame", pytest.fail)
    monkeypatch.setattr(measured, "run_task", pytest.fail)
    moved = batch.rename(batch.with_name("moved"))
    assert same(before, measure(read_batch(moved), checks(), Measuring()))


CHANGES: dict[str, Callable[[Path], object]] = {
    "an image": lambda root: (root / "other/3.png").write_bytes((root / "other/4.png").read_bytes()),
    "a time": lambda root: (root / "frames.csv").write_text((root / "frames.csv").read_text().replace(".5", ".6", 1)),
    "a range": lambda root: (root / "batch.yaml").write_text(
        (root / "batch.yaml").read_text().replace("255", "254", 1)
    ),
    "a lost file": lambda root: (root / "other/3.png").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_measures_depend_on_changes_the_fingerprint(change: str, batch: Path) -> None:
    before = fingerprint(read_batch(batch))
    assert fingerprint(read_batch(batch)) == before
    CHANGES[change](batch)
    assert fingerprint(read_batch(batch)) != before


def test_an_interrupted_measurement_goes_on_with_the_shards_that_it_lacks(
    batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, project = batch.resolve(), settings()
    tasks = measuring_tasks(root, project)
    assert len(tasks) == 5
    for task in tasks[:3]:
        shards.run_task(task)
    tasks[1].target.write_bytes(b"damaged")
    assert measuring_tasks(root, project) == tasks[3:]
    done: list[int] = []
    run = shards.run_task
    monkeypatch.setattr(measured, "run_task", lambda task: done.append(task.start) or run(task))
    read: list[int] = []
    measure_shard = shards.measure_shard
    monkeypatch.setattr(shards, "measure_shard", lambda *a, **k: read.append(a[2]) or measure_shard(*a, **k))
    result = measure(read_batch(root), project.validation, Measuring())
    assert read == [5, 15, 20]
    assert measuring_tasks(root, project) == []
    monkeypatch.undo()
    monkeypatch.setattr(shards, "SHARD_FRAMES", 5)
    assert same(result, measure_batch(read_batch(root), project.validation))


def test_drift_reads_no_frame_again(batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = settings().data
    new = read_batch(write_synthetic_batch(tmp_path / "second", 6, 2))
    first = training_statistics(new, data, 8)
    assert first is not None
    monkeypatch.setattr(known_statistics, "read_frame", pytest.fail)
    second = training_statistics(new, data, 8)
    pd.testing.assert_frame_equal(first, second)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    measure(read_batch(batch), checks(), Measuring(statistics=Path("other")))
    monkeypatch.setattr(known_statistics, "read_frame", pytest.fail)
    third = training_statistics(new, data, 8, how=Measuring(statistics=Path("other")))
    keys = ["frame_id", "sensor"]
    pd.testing.assert_frame_equal(
        first.sort_values(keys, ignore_index=True), third.sort_values(keys, ignore_index=True), check_like=True
    )


def test_a_second_validation_reads_no_image(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = validate_batch(batch, settings(), Path("out"), record=False).record()
    sheet = Path("out/contact_sheet.png").read_bytes()
    monkeypatch.setattr("sensorproof.data.images.read_pixels", pytest.fail)
    assert validate_batch(batch, settings(), Path("out"), record=False).record() == before
    assert Path("out/contact_sheet.png").read_bytes() == sheet


def data_settings() -> DataSettings:
    return settings().data.model_copy(update={"size": [12, 16]})


def content(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_two_processes_prepare_what_one_does(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_settings(), Path("plain"))
    prepare(data_settings(), Path("one"), cache=Path("c1"))
    monkeypatch.setattr(parallel, "_FEW_TASKS", 0)
    prepare(data_settings(), Path("two"), cache=Path("c2"), workers=2)
    assert content("plain") == content("one") == content("two")


def only_of(name: str) -> Callable[..., Any]:
    """`load_frame`, for the frames of one batch alone."""

    def load(batch: Batch, row: int) -> Any:
        assert batch.name == name
        return load_frame(batch, row)

    return load


def test_only_a_new_batch_is_prepared(batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    prepare(data_settings(), Path("out"), cache=cache)
    assert preparing_tasks(data_settings(), cache) == []
    second = write_synthetic_batch(batch.with_name("second"), 7, 2)
    for path in second.glob("camera/*.png"):
        Image.fromarray(np.asarray(Image.open(path))[:, ::-1]).save(path)
    monkeypatch.setattr("sensorproof.data.precision.load_frame", only_of("second"))
    prepared: list[str] = []
    work = prepare_shards.prepare_shard
    monkeypatch.setattr(
        prepare_shards, "prepare_shard", lambda task: prepared.append((task.root.name, task.start)) or work(task)
    )
    assert [(t.root.name, t.start) for t in preparing_tasks(data_settings(), cache)] == [("second", 0), ("second", 5)]
    prepare(data_settings(), Path("out"), cache=cache)
    assert prepared == [("second", 0), ("second", 5)]
    damaged = next(path for path in sorted(cache.iterdir()) if path.stat().st_size > 5000)
    damaged.write_bytes(b"damaged")
    prepared.clear()
    prepare(data_settings(), Path("again"), cache=cache)
    assert len(prepared) == 1
    assert load_tree(damaged) is not None
    assert content("out") == content("again")
