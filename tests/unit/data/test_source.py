"""A batch that refers to files outside of it: paths stay inside of the one folder that batch.yaml names."""

from pathlib import Path

import pytest

from helpers.batches import edit_frames, edit_info, make_batch
from sensorproof.alignment.frames import read_frame
from sensorproof.data.batch import read_batch, source_pointer
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.prepare import prepare, read_batches
from sensorproof.data.source_files import SourceFile, check_source, write_source_files
from sensorproof.errors import BatchError, RejectedError
from sensorproof.ingestion.transaction import ingest_batch
from sensorproof.settings import DataSettings, SplitSettings, load_settings


def refer(batch: Path) -> Path:
    """Move a batch's images elsewhere and refer to them; the LiDAR's stay."""
    source = batch.parent.parent / "elsewhere"
    for folder in ("camera", "thermal", "label"):
        (source / folder).parent.mkdir(exist_ok=True, parents=True)
        (batch / folder).rename(source / folder)

    def change(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row.update({name: f"source:{row[name]}" for name in ("camera", "thermal", "label")})

    edit_frames(batch, change)
    edit_info(batch, lambda info: info.update(external_files=True))
    source_pointer(batch).write_text(f"{source}\n")
    return source


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return make_batch(tmp_path / "raw/yard")


def test_references_and_own_files_can_be_mixed(batch: Path, tmp_path: Path) -> None:
    before = [load_frame(read_batch(batch), k)[0] for k in range(8)]
    refer(batch)
    described = read_batch(batch)
    assert described.path("lidar/f000.npy") == batch / "lidar/f000.npy"
    for k, expected in enumerate(before):
        frame, findings = load_frame(described, k)
        raw = read_frame(described, k)
        assert (findings, raw.faults) == ([], {})
        for name, image in expected.images.items():
            assert (frame.images[name] == image).all()
            assert (raw.images[name] == image).all()
        assert (frame.label == expected.label).all()
        assert (raw.label == expected.label).all()


@pytest.mark.parametrize("cell", ["source:../x.png", "source:/etc/x.png", "source:link/x.png", "source:", "../x.png"])
def test_paths_stay_in_the_source(cell: str, batch: Path, tmp_path: Path) -> None:
    source = refer(batch)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x.png").write_bytes(b"x")
    (source / "link").symlink_to(tmp_path / "outside")
    edit_frames(batch, lambda rows: rows[1].update(camera=cell))
    with pytest.raises(BatchError, match=r"frames.csv: path .* leaves the folder"):
        read_batch(batch)


def test_without_a_source_there_are_no_references(batch: Path) -> None:
    refer(batch)
    edit_info(batch, lambda info: info.pop("external_files"))
    assert all(fault.fault == "is missing" for fault in load_frame(read_batch(batch), 0)[1])


@pytest.mark.parametrize("source", ["elsewhere", "../elsewhere", "/", "", "/no/such/folder", "\x00"])
def test_a_source_is_one_folder_named_in_full(source: str, batch: Path) -> None:
    refer(batch)
    source_pointer(batch).write_text(source)
    with pytest.raises(BatchError, match=r"yard.source: names .* which is no folder"):
        read_batches(batch.parent)


def test_a_batch_that_is_sent_without_its_pointer_reads_nothing_elsewhere(batch: Path, tmp_path: Path) -> None:
    refer(batch)
    (tmp_path / "inbox").mkdir()
    batch.rename(tmp_path / "inbox/yard")
    with pytest.raises(BatchError, match=r"it names files outside of it, but yard.source beside it cannot be read"):
        read_batch(tmp_path / "inbox/yard")


def test_a_batch_can_be_read_from_inside(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refer(batch)
    monkeypatch.chdir(batch)
    assert load_frame(read_batch("."), 0)[1] == []


def settings_of(batch: Path) -> DataSettings:
    """Settings with which stage prepare reads a batch."""
    return DataSettings(
        raw=str(batch.parent),
        inbox="",
        quarantine="",
        size=[6, 8],
        standardize="dataset",
        full_resolution=False,
        split=SplitSettings(val=0.2, test=0.2, seed=0),
    )


def test_prepare_says_where_a_faulty_file_is(batch: Path, tmp_path: Path) -> None:
    source = refer(batch)
    (source / "camera/f003.png").write_bytes(b"")
    _, table, _ = prepare(settings_of(batch), tmp_path / "prepared")
    assert table.fault[3].startswith(f"{source / 'camera/f003.png'}: is not a whole image")


def test_a_changed_source_stops_prepare(batch: Path) -> None:
    source = refer(batch)
    size = (source / "camera/f003.png").stat().st_size
    write_source_files(batch, [SourceFile("camera/f003.png", size, "0" * 64)])
    check_source(read_batch(batch))
    (source / "camera/f003.png").unlink()
    with pytest.raises(BatchError, match=r"1 of its 1 files are gone or changed since the import, such as camera/f003"):
        read_batches(batch.parent)
    (batch / "files.csv").write_text("file\n")
    with pytest.raises(BatchError, match=r"files.csv: cannot be read"):
        read_batches(batch.parent)


def test_a_batch_with_a_source_is_not_ingested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    monkeypatch.chdir(tmp_path)
    batch = make_batch(tmp_path / "inbox/yard")
    refer(batch)
    with pytest.raises(RejectedError, match=r"names files outside of it, which would not be versioned"):
        ingest_batch(batch, settings)
    assert not (tmp_path / "data/raw/yard").exists()


def test_tags_are_columns_of_the_batch_and_of_the_prepared_data(batch: Path, tmp_path: Path) -> None:
    edit_info(batch, lambda info: info.update(tags=["failure"]))
    with pytest.raises(BatchError, match=r"columns \['failure'\] are missing"):
        read_batch(batch)
    edit_frames(batch, lambda rows: [row.update(failure=f"kind {k % 2}") for k, row in enumerate(rows)])
    _, table, _ = prepare(settings_of(batch), tmp_path / "prepared")
    assert table.failure.tolist() == ["kind 0", "kind 1"] * 4


@pytest.mark.parametrize(
    "tag", ["split", "batch", "label", "camera", "camera_time", "present_camera", "Weather", "a b"]
)
def test_tags_do_not_clash_with_columns(tag: str, batch: Path) -> None:
    edit_info(batch, lambda info: info.update(tags=[tag]))
    with pytest.raises(BatchError, match="tags"):
        read_batch(batch)


def test_a_cell_names_as_many_files_as_make_an_image(batch: Path) -> None:
    edit_info(batch, lambda info: info["sensors"]["thermal"].update(read={"files": 2, "bands": [1]}))
    with pytest.raises(BatchError, match=r"of thermal names 1 files, not 2; separate as many by \|"):
        read_batch(batch)
    edit_frames(batch, lambda rows: [row.update(thermal=f"thermal/f000.png|{row['thermal']}") for row in rows])
    described = read_batch(batch)
    assert load_frame(described, 3)[1] == []
    edit_frames(batch, lambda rows: rows[0].update(thermal="thermal/f000.png|../f001.png"))
    with pytest.raises(BatchError, match="leaves the folder"):
        read_batch(batch)
