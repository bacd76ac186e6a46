"""A recording that was saved again, under other names and compressions, is recognised by what it shows."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.batches import edit_frames, edit_info, make_batch
from sensorproof.data.batch import Batch, read_batch
from sensorproof.errors import RejectedError
from sensorproof.ingestion.conflicts import check_content, check_frames
from sensorproof.ingestion.content import frame_contents
from sensorproof.ingestion.file_manifest import hash_files


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A batch; results of hashing go to a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return make_batch(tmp_path / "old")


def save_anew(old: Path) -> Path:
    """The same drive under other file names, ids, sites and dates; every PNG is compressed in another way."""
    new = old.with_name("new")
    shutil.copytree(old, new)
    edit_info(new, lambda info: info.update(name="new"))
    for path in sorted(new.rglob("*.png")):
        Image.open(path).save(path.with_name(f"again-{path.name}"), compress_level=1)
        path.unlink()
    for path in sorted(new.rglob("*.npy")):
        np.save(path.with_name(f"again-{path.name}"), np.load(path).astype(np.float32))
        path.unlink()

    def rename(rows: list[dict[str, str]]) -> None:
        for row in rows:
            for column in ("camera", "thermal", "lidar", "label"):
                folder, name = row[column].split("/")
                row[column] = f"{folder}/again-{name}"
            row.update(frame_id=f"g{row['frame_id']}", site="elsewhere", sequence=f"r{row['sequence']}")
            row.update({column: str(float(row[column]) + 1e6) for column in row if column.endswith("_time")})

    edit_frames(new, rename)
    return new


def others(old: Path) -> dict[str, tuple[Batch, dict[str, str]]]:
    return {"old": (read_batch(old), hash_files(old))}


def test_a_drive_saved_anew_is_refused(old: Path) -> None:
    new = save_anew(old)
    check_frames(read_batch(new), hash_files(new), others(old))  # no file is the same byte for byte
    fault = "8 of 8 frames show the same as batch 'old', such as 'gf000' and 'f000'; leave them out"
    with pytest.raises(RejectedError, match=fault):
        check_content(read_batch(new), hash_files(new), others(old))


def test_one_copied_frame_among_others_is_named(old: Path) -> None:
    new = make_batch(old.with_name("other"))
    for sensor, ending in (("camera", "png"), ("thermal", "png"), ("lidar", "npy")):
        shutil.copy(old / f"{sensor}/f002.{ending}", new / f"{sensor}/f005.{ending}")
    with pytest.raises(RejectedError, match="1 of 8 frames show the same as batch 'old', such as 'f005' and 'f002'"):
        check_content(read_batch(new), hash_files(new), others(old))


def test_another_drive_passes_and_a_batch_is_decoded_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = make_batch(old.with_name("other"))
    check_content(read_batch(new), hash_files(new), others(old))
    monkeypatch.setattr("sensorproof.ingestion.content.read_frame", pytest.fail)
    check_content(read_batch(new), hash_files(new), others(old))


def test_a_damaged_result_is_made_again(old: Path, tmp_path: Path) -> None:
    first = frame_contents(read_batch(old), hash_files(old))
    (path,) = (tmp_path / "artifacts/cache/content").glob("*.json")
    path.write_text("{")
    assert frame_contents(read_batch(old), hash_files(old)) == first


def test_a_lone_image_is_no_proof(old: Path) -> None:
    edit_frames(old, lambda rows: [row.update(thermal="", thermal_time="", lidar="", lidar_time="") for row in rows])
    assert frame_contents(read_batch(old), hash_files(old)) == {}
