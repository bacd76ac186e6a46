"""A new batch comes in: what is there afterwards, what is refused, what the next `dvc repro` sees."""

import errno
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from helpers.project import enter, make_ingest_project
from sensorproof.adapters import dvc
from sensorproof.cli import main
from sensorproof.data.batch import read_batch
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import RejectedError
from sensorproof.ingestion import IngestResult, ingest_batch, recover_interrupted, transaction
from sensorproof.ingestion.file_manifest import hash_files
from sensorproof.settings import load_settings

PIPELINE = """\
stages:
  names:
    cmd: ls ${data.raw} > names.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
"""


def make_batch(root: Path, offset: int, seed: int = 5) -> Path:
    """Nine frames at three sites, without failures."""
    simulate_batch(root, SimulationConfig(root.name, (48, 60), 3, 1, 3, seed, offset, 0.0))
    return root


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches that go together."""
    root = tmp_path_factory.mktemp("material")
    make_batch(root / "first", 0)
    make_batch(root / "second", 10)
    return root


@pytest.fixture
def here(tmp_path: Path, material: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one raw batch and a pipeline of one small stage; it is the working folder."""
    root = tmp_path / "project"
    make_ingest_project(root, material / "first", PIPELINE)
    enter(root, monkeypatch)
    return root


@pytest.fixture
def second(tmp_path: Path, material: Path) -> Path:
    """A batch outside the project."""
    return Path(shutil.copytree(material / "second", tmp_path / "second"))


def bytes_of(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_bytes().hex() for p in sorted(root.rglob("*")) if p.is_file()}


def edit_info(batch: Path, **changes: object) -> None:
    path = batch / "batch.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))


def test_a_batch_is_copied_versioned_and_seen_by_the_pipeline(here: Path, second: Path) -> None:
    listing, settings = hash_files(second), load_settings()
    taken = ingest_batch(second, settings)
    assert (taken.name, taken.frames, taken.left) == ("second", 9, ())
    assert hash_files(Path("data/raw/second")) == hash_files(second) == listing
    assert taken.hash == dvc.added_hash(Path("data/raw/second.dvc"))
    assert dvc.added_files(Path("data/raw/second.dvc")) == listing
    assert not list(Path("data/raw/.incoming").iterdir())
    assert dvc.reproduce("names", echo=None)
    assert Path("names.txt").read_text() == "first\nsecond\nsecond.dvc\n"
    assert dvc.status() == {}
    before = bytes_of(Path("data/raw"))
    with pytest.raises(RejectedError, match="is already ingested as data/raw/second; delete this copy"):
        ingest_batch(second, settings)
    with pytest.raises(RejectedError, match="is already in data/raw; version it where it is: `dvc add data/raw/first`"):
        ingest_batch(Path("data/raw/first"), settings)
    assert bytes_of(Path("data/raw")) == before


def test_a_moved_batch_leaves_its_place_but_not_what_came_late(
    here: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = dvc.add

    def slowly(folder: Path, project: Path = Path()) -> Path:
        (second / "late.png").write_bytes(b"late")
        return original(folder, project)

    monkeypatch.setattr(dvc, "add", slowly)
    taken = ingest_batch(second, load_settings(), move=True)
    assert taken.left == ("late.png",)
    assert [p.name for p in second.rglob("*")] == ["late.png"]
    assert not Path("data/raw/second/late.png").exists()


def run_cli(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["sensorproof", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def same_name(batch: Path) -> None:
    edit_info(batch, name="first")


def other_classes(batch: Path) -> None:
    classes = yaml.safe_load((batch / "batch.yaml").read_text())["classes"]
    edit_info(batch, classes=[*classes, {"id": 200, "name": "bird"}])


def same_ids(batch: Path) -> None:
    old = read_batch(Path("data/raw/first")).frames.frame_id[0]
    new = read_batch(batch).frames.frame_id[0]
    table = batch / "frames.csv"
    table.write_text(table.read_text().replace(f"\n{new},", f"\n{old},"))


def same_frames(batch: Path) -> None:
    shutil.rmtree(batch)
    shutil.copytree("data/raw/first", batch)
    edit_info(batch, name="renamed")
    table = batch / "frames.csv"
    table.write_text(table.read_text().replace("\nsite", "\nrenamed-site"))


def no_table(batch: Path) -> None:
    (batch / "frames.csv").unlink()


def broken_images(batch: Path) -> None:
    for image in (batch / "camera").iterdir():
        image.write_bytes(image.read_bytes()[:40])


def link_out(batch: Path) -> None:
    (batch / "notes.txt").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (same_name, "there is already a batch 'first' with other content; give this one another `name`"),
        (other_classes, "classes or reference differ from first's"),
        (same_ids, "is in batch 'first' too (1 in all)"),
        (same_frames, "is batch 'first' again"),
        (no_table, "frames.csv: is missing"),
        (broken_images, "second"),
        (link_out, "out of the batch"),
    ],
)
def test_what_is_refused_says_why_in_one_line_and_changes_nothing(
    spoil: object,
    reason: str,
    here: Path,
    second: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(second)  # type: ignore[operator]
    before, source = bytes_of(Path("data/raw")), bytes_of(second)
    assert run_cli("ingest", str(second), "--move", monkeypatch=monkeypatch) == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert reason in error
    assert "\n" not in error
    assert bytes_of(Path("data/raw")) == before
    assert bytes_of(second) == source


def test_quarantined_frames_give_exit_code_3(
    here: Path, second: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next((second / "camera").iterdir())
    image.write_bytes(image.read_bytes()[:40])
    assert run_cli("ingest", str(second), monkeypatch=monkeypatch) == 3
    printed = capsys.readouterr().out
    assert "second: 9 frames" in printed
    assert "1 quarantined" in printed
    assert Path("data/raw/second", image.relative_to(second)).read_bytes() == image.read_bytes()


def test_a_full_disk_is_one_line_and_leaves_nothing(
    here: Path, second: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path, listing: dict[str, str]) -> None:
        (target / "camera").mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transaction, "copy_files", full)
    assert run_cli("ingest", str(second), monkeypatch=monkeypatch) == 1
    assert "cannot be written (No space left on device); make room" in capsys.readouterr().err
    assert list(Path("data/raw/.incoming").iterdir()) == []


def test_an_interrupted_copy_is_dropped_and_a_whole_one_is_finished(here: Path, second: Path) -> None:
    settings = load_settings()
    stray = Path("data/raw/.incoming/stray/batch")
    stray.mkdir(parents=True)
    (stray / "batch.yaml").write_text("name: stray\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dvc, "writing", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest_batch(second, settings, move=True)
    assert not stray.exists()
    assert not Path("data/raw/second").exists()
    (taken,) = recover_interrupted(settings)
    assert isinstance(taken, IngestResult)
    assert hash_files(Path("data/raw/second"))
    assert not second.exists()
    assert recover_interrupted(settings) == []
