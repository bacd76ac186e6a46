"""Batches that come as archives, twice, stuck, or with what nobody knows; and what the ledger says of them."""

import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from helpers.project import enter, make_ingest_project
from sensorproof.adapters import dvc, git
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.ingestion import ingest_at_once, ingest_batch, publish, review, unpublished
from sensorproof.ingestion.file_manifest import hash_files
from sensorproof.ingestion.ledger import read_entries
from sensorproof.ingestion.transaction import _claim
from sensorproof.locks import BusyError, locked
from sensorproof.settings import Settings, load_settings


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches that go together."""
    root = tmp_path_factory.mktemp("material")
    for name, offset in (("first", 0), ("second", 10)):
        simulate_batch(root / name, SimulationConfig(name, (48, 60), 3, 1, 3, 5, offset, 0.0))
    return root


@pytest.fixture
def here(tmp_path: Path, material: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one raw batch and another in its inbox; it is the working folder."""
    root = tmp_path / "project"
    make_ingest_project(root, material / "first")
    shutil.copytree(material / "second", root / "data/inbox/field-2")
    enter(root, monkeypatch)
    return root


@pytest.fixture
def second(here: Path) -> Path:
    """The batch in the inbox; its folder has another name than batch.yaml says."""
    return Path("data/inbox/field-2")


def actions() -> list[tuple[str, str]]:
    return [(entry.action, entry.batch) for entry in read_entries(Path("data/ingested.jsonl"))]


def make_archive(folder: Path) -> Path:
    path = Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))
    shutil.rmtree(folder)
    return path


def test_a_batch_has_its_own_name_whatever_its_folder_is_called(second: Path) -> None:
    listing = hash_files(second)
    result = ingest_batch(second, load_settings(), move=True)
    assert (result.name, result.left) == ("second", ())
    assert hash_files(Path("data/raw/second")) == listing
    assert not second.exists()
    assert actions() == [("ingested", "second")]


def test_an_archive_is_unpacked_ingested_and_removed(second: Path) -> None:
    listing = hash_files(second)
    archive = make_archive(second)
    result = ingest_batch(archive, load_settings(), move=True)
    assert (result.name, result.frames) == ("second", 9)
    assert hash_files(Path("data/raw/second")) == listing == dvc.added_files(Path("data/raw/second.dvc"))
    assert not archive.exists()
    assert [path for path in Path("data/raw/.unpacked").rglob("*") if path.is_file()] == []


def test_a_broken_archive_is_refused_and_stays(second: Path) -> None:
    archive = make_archive(second)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    before = archive.read_bytes()
    with pytest.raises(RejectedError, match="is not a whole archive"):
        ingest_batch(archive, load_settings(), move=True)
    assert archive.read_bytes() == before
    assert [path.name for path in Path("data/raw").iterdir() if not path.name.startswith(".")] == ["first"]


def test_a_batch_is_known_again_even_if_it_was_removed_since(second: Path) -> None:
    copy = shutil.copytree(second, "data/inbox/again")
    ingest_batch(second, load_settings(), move=True)
    with pytest.raises(review.DuplicateError, match="is already ingested as data/raw/second"):
        ingest_batch(Path(copy), load_settings())
    shutil.rmtree("data/raw/second")
    Path("data/raw/second.dvc").unlink()
    with pytest.raises(review.DuplicateError, match=r"was ingested as 'second' on 20\S+ and has been removed since"):
        ingest_batch(Path(copy), load_settings())
    assert [action for action, _ in actions()] == ["ingested", "duplicate", "duplicate"]


def unknown_sensor(batch: Path) -> None:
    """Rename a sensor, and leave it to one site alone."""
    info = yaml.safe_load((batch / "batch.yaml").read_text())
    info["sensors"]["sonar"] = info["sensors"].pop("lidar")
    (batch / "batch.yaml").write_text(yaml.safe_dump(info))
    header, *rows = (batch / "frames.csv").read_text().splitlines()
    columns = header.replace("lidar", "sonar").split(",")
    cells = [dict(zip(columns, row.split(","), strict=True)) for row in rows]
    for each in cells[3:]:
        each.update(sonar="", sonar_time="")
    lines = [",".join(columns), *(",".join(each.values()) for each in cells)]
    (batch / "frames.csv").write_text("\n".join(lines) + "\n")


def unknown_class(batch: Path) -> None:
    info = yaml.safe_load((batch / "batch.yaml").read_text())
    info["classes"].append({"id": 77, "name": "drone"})
    (batch / "batch.yaml").write_text(yaml.safe_dump(info))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (unknown_sensor, "sensor 'sonar' is in no other batch, and here in no labelled frame for"),
        (unknown_class, "classes or reference differ"),
    ],
)
def test_what_the_other_batches_do_not_know_is_refused(spoil: Callable[[Path], None], fault: str, second: Path) -> None:
    spoil(second)
    with pytest.raises(RejectedError, match=fault):
        ingest_batch(second, load_settings())
    ((action, batch),) = actions()
    assert (action, batch) == ("refused", "field-2")


def test_a_batch_that_another_process_ingests_is_left_to_it(second: Path) -> None:
    with locked(_claim(second)), pytest.raises(BusyError, match="is under way already"):
        ingest_at_once(second.resolve(), load_settings())
    assert ingest_at_once(second, load_settings()).name == "second"


def test_a_stuck_batch_does_not_block_another(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its review waits for ever; the other batch comes in meanwhile."""
    stuck = shutil.copytree(second, "data/inbox/stuck")
    begun, released, faults = threading.Event(), threading.Event(), []
    read_batch = review.read_batch

    def read(root: Path) -> object:
        if root.name == "stuck":
            begun.set()
            released.wait(60)
        return read_batch(root)

    def ingest_stuck() -> None:
        try:
            ingest_batch(Path(stuck), load_settings())
        except SensorproofError as error:
            faults.append(str(error))

    monkeypatch.setattr(review, "read_batch", read)
    thread = threading.Thread(target=ingest_stuck)
    thread.start()
    assert begun.wait(60)
    assert ingest_batch(second, load_settings()).name == "second"
    released.set()
    thread.join(60)
    assert "is already ingested" in faults[0]


def test_what_could_not_be_pushed_waits_for_the_next_run(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    result = ingest_batch(second, settings)
    assert not publish(result, settings)
    Path(".dvc/config.local").write_text("[core]\nremote = store\n['remote \"store\"']\nurl = /dev/null/store\n")
    with pytest.raises(SensorproofError):
        publish(result, settings)
    assert [each.name for each in unpublished(settings)] == ["second"]
    Path(".dvc/config.local").write_text(f"[core]\nremote = store\n['remote \"store\"']\nurl = {Path.cwd()}/store\n")
    (waiting,) = unpublished(settings)
    assert publish(waiting, settings)
    assert unpublished(settings) == []
    assert Path("store/files/md5").is_dir()


def committing() -> Settings:
    settings = load_settings()
    ingestion = settings.ingestion.model_copy(update={"commit": True})
    return settings.model_copy(update={"ingestion": ingestion})


def run_git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_pointer_is_committed_and_nothing_else(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "a")
        monkeypatch.setenv(f"{name}_EMAIL", "a@b")
    run_git("init", "--quiet", "-b", "main")
    run_git("add", "params.yaml")
    run_git("commit", "--quiet", "-m", "first")
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# mine\n")
    Path("staged").write_text("mine")
    run_git("add", "staged")
    assert not [line for line in ingest_batch(second, committing()).warnings if "committed" in line]
    assert run_git("show", "--name-only", "--format=%s").split() == ["Add", "batch", "second", "data/raw/second.dvc"]
    assert {line[:2] for line in run_git("status", "--porcelain").splitlines()} >= {" M", "A "}
    run_git("checkout", "--quiet", "--detach")
    with pytest.raises(SensorproofError, match="detached HEAD"):
        git.commit_files([Path("data/raw/second.dvc")], "again")


def test_without_git_the_batch_comes_in_with_a_warning(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    (warning,) = (line for line in ingest_batch(second, committing()).warnings if "committed" in line)
    assert "second.dvc is not committed" in warning
    assert "is not in a git repository" in warning


def test_an_archive_bomb_is_refused_before_it_fills_the_disk(here: Path) -> None:
    bomb = Path("data/inbox/bomb.zip")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("batch.yaml", b"\0" * 20_000_000)
    with pytest.raises(RejectedError, match="unpacks to more than 200 times its size"):
        ingest_batch(bomb, load_settings())
    assert not list(Path("data/raw/.unpacked").rglob("*.yaml"))
