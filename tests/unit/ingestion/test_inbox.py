"""What the inbox says of the folders in it."""

import os
import time
from pathlib import Path

import pytest

from helpers.paths import ROOT
from sensorproof.errors import SensorproofError
from sensorproof.ingestion import inbox
from sensorproof.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/inbox").mkdir(parents=True)
    return load_settings(ROOT / "params.yaml")


def arrive(name: str) -> Path:
    folder = Path("data/inbox", name)
    (folder / "camera").mkdir(parents=True)
    (folder / "camera/1.png").write_bytes(b"one")
    return folder


def names(folders: tuple[Path, ...]) -> list[str]:
    return [folder.name for folder in folders]


def test_a_folder_is_ready_once_nothing_in_it_has_changed_for_a_while(settings: Settings) -> None:
    folder = arrive("field-1")
    arrive(".field-2")
    Path("data/inbox/loose.txt").touch()
    Path("data/inbox/linked").symlink_to("field-1")
    assert names(inbox.scan(settings, 60).incomplete) == ["field-1"]
    assert names(inbox.scan(settings, 60).ignored) == ["linked", "loose.txt"]
    assert names(inbox.scan(settings, 0).ready) == ["field-1"]
    time.sleep(0.3)
    assert names(inbox.scan(settings, 0.25).ready) == ["field-1"]
    (folder / "camera/1.png").write_bytes(b"one and more")
    assert names(inbox.scan(settings, 0.25).incomplete) == ["field-1"]


def test_a_copy_that_keeps_old_times_is_still_arriving(settings: Settings) -> None:
    folder = arrive("field-1")
    os.utime(folder / "camera/1.png", (0, 0))
    assert names(inbox.scan(settings, 60).incomplete) == ["field-1"]


def test_a_refused_batch_is_left_alone_until_it_changes(settings: Settings) -> None:
    folder = arrive("field-1")
    note = inbox.note_rejection(folder, "field-1: is broken; mend it", settings)
    assert note == Path("data/inbox/field-1.refused.yaml")
    assert "field-1: is broken; mend it" in note.read_text()
    assert names(inbox.scan(settings, 0).refused) == ["field-1"]
    (folder / "camera/1.png").write_bytes(b"mended")
    assert names(inbox.scan(settings, 0).ready) == ["field-1"]


def test_other_settings_judge_again(settings: Settings) -> None:
    inbox.note_rejection(arrive("field-1"), "too many quarantined", settings)
    lenient = settings.validation.model_copy(update={"max_quarantined": 1.0})
    assert names(inbox.scan(settings.model_copy(update={"validation": lenient}), 0).ready) == ["field-1"]


@pytest.mark.parametrize("text", [None, "", "judged: [1", "- a list"])
def test_a_note_that_says_nothing_does_not_hold(text: str | None, settings: Settings) -> None:
    note = inbox.note_rejection(arrive("field-1"), "is broken", settings)
    if text is None:
        note.unlink()
    else:
        note.write_text(text)
    assert names(inbox.scan(settings, 0).ready) == ["field-1"]


def test_the_note_goes_with_its_batch(settings: Settings) -> None:
    folder = arrive("field-1")
    note = inbox.note_rejection(folder, "is broken", settings)
    inbox.forget_rejection(folder)
    inbox.forget_rejection(folder)
    assert not note.exists()
    inbox.note_rejection(folder, "is broken", settings)
    folder.rename("data/taken-away")
    assert inbox.scan(settings, 0) == inbox.Inbox()
    assert not note.exists()


def test_without_an_inbox_one_line_says_so(settings: Settings) -> None:
    Path("data/inbox").rmdir()
    with pytest.raises(SensorproofError, match="data/inbox: is not a folder"):
        inbox.scan(settings, 0)
