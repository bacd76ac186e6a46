"""What the adapter reads out of DVC's files and words, without running DVC."""

import json
import subprocess
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.adapters import dvc
from sensorproof.errors import RejectedError, SensorproofError

LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: python prepare.py
    deps:
    - {path: data/raw, hash: md5, md5: aa11.dir, size: 1, nfiles: 1}
    - {path: prepare.py, hash: md5, md5: bb22, size: 1}
    outs:
    - {path: artifacts/prepared, hash: md5, md5: cc33.dir, size: 1, nfiles: 1}
  listing:
    cmd: ls
"""
FAILED = "ERROR: failed to reproduce 'validate': failed to run: python validate.py, exited with {}"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Running stage 'a':", "error: b: is broken; mend it", FAILED.format(1)], "b: is broken; mend it"),
        (["error: the first", "error: the last", "ERROR: DVC's own"], "the last"),
        (["loading", "ERROR: unexpected error - disk full", "ERROR: failed to add"], "failed to add"),
        (["a word", "", "  "], "a word"),
        ([], "failed without a word"),
    ],
)
def test_the_error_is_the_stages_own_before_dvcs(lines: list[str], expected: str) -> None:
    assert dvc.find_error(lines) == expected


@given(st.lists(st.text()))
def test_an_error_is_found_in_whatever_was_printed(lines: list[str]) -> None:
    assert dvc.find_error(lines).strip()


@pytest.mark.parametrize("code", [1, 4, -9, 137])
def test_the_stages_exit_code_is_found(code: int) -> None:
    assert dvc.stage_exit_code(["exited with 7", FAILED.format(code), ""]) == code


def test_a_fault_of_dvc_has_no_stage_exit_code() -> None:
    assert dvc.stage_exit_code(["ERROR: 'data/raw' is busy", "a stage that says: exited with 4"]) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, SensorproofError),
        (4, RejectedError),
        (-9, dvc.StageKilledError),
        (137, dvc.StageKilledError),
        (None, SensorproofError),
    ],
)
def test_how_a_stage_ended_decides_what_is_raised(
    code: int | None, kind: type[SensorproofError], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["error: data/raw/b: 9 of 10 frames are out of step", FAILED.format(code) if code else "ERROR: no disk"]

    def fail(*arguments: str, **options: object) -> str:
        raise dvc.DvcCommandError("dvc repro", dvc.find_error(lines), "see above", lines)

    monkeypatch.setattr(dvc, "run_dvc", fail)
    with pytest.raises(SensorproofError) as caught:
        dvc.reproduce("validate")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("stage validate: ")
    assert "dvc repro validate" in str(caught.value)
    if kind is RejectedError:
        assert "9 of 10 frames" in str(caught.value)


def test_hashes_come_out_of_the_lock_file(tmp_path: Path) -> None:
    assert dvc.locked_hash("prepare", "data/raw", tmp_path) == "none"
    (tmp_path / "dvc.lock").write_text(LOCK)
    assert dvc.locked_hash("prepare", "data/raw", tmp_path) == "aa11.dir"
    assert dvc.locked_hash("prepare", "elsewhere", tmp_path) == "none"
    assert dvc.locked_hash("train", "data/raw", tmp_path) == "none"
    assert dvc.locked_outputs("prepare", tmp_path) == {"artifacts/prepared": "cc33.dir"}
    assert dvc.locked_outputs("listing", tmp_path) == {}


@pytest.mark.parametrize("content", ["", "schema: '2.0'\n", "stages:\n"])
def test_a_lock_file_without_stages_knows_no_hash(content: str, tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(content)
    assert dvc.locked_hash("prepare", "data/raw", tmp_path) == "none"


def test_a_broken_lock_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages: [unclosed\n")
    with pytest.raises(SensorproofError, match=r"dvc\.lock: cannot be read") as caught:
        dvc.locked_hash("prepare", "data/raw", tmp_path)
    assert "\n" not in str(caught.value)


def test_files_of_an_added_folder_come_out_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.dvc").write_text("outs:\n- {md5: 12ab.dir, path: b}\n")
    monkeypatch.setattr(dvc, "run_dvc", lambda *arguments, **options: "cache\n")
    assert dvc.added_files(tmp_path / "b.dvc", tmp_path) is None
    listing = tmp_path / "cache/files/md5/12/ab.dir"
    listing.parent.mkdir(parents=True)
    listing.write_text(json.dumps([{"md5": "e1", "relpath": "camera/1.png"}]))
    assert dvc.added_files(tmp_path / "b.dvc", tmp_path) == {"camera/1.png": "e1"}


def test_what_a_stage_reads_is_waited_for_and_other_faults_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc.time, "sleep", lambda seconds: None)
    faults = ["'data/raw/b' is busy, it is being blocked by", "'data/raw/b' is busy"]

    def action() -> None:
        if faults:
            raise SensorproofError("data/raw/b", faults.pop(0), "wait")

    dvc.patiently(action)
    assert faults == []
    faults.append("no space left")
    with pytest.raises(SensorproofError, match="no space left"):
        dvc.patiently(action)


def test_the_state_of_a_project_waits_for_a_killed_process_to_vanish(tmp_path: Path) -> None:
    """A process that was killed in a stage is in DVC's lock until the system has reaped it."""
    (tmp_path / "dvc.yaml").write_text("stages:\n  one: {cmd: touch one.txt, outs: [one.txt]}\n")
    dvc.ensure_repository(tmp_path)
    killed = subprocess.Popen(["sleep", "2"])
    holder = {str(tmp_path.resolve() / "one.txt"): {"pid": killed.pid, "cmd": "dvc repro one"}}
    (tmp_path / ".dvc/tmp/rwlock").write_text(json.dumps({"write": holder}))
    Thread(target=killed.wait).start()
    assert list(dvc.status(project=tmp_path)) == ["one"]
    assert killed.poll() is not None


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc, "PATIENCE_S", -1.0)

    def action() -> None:
        raise SensorproofError("data/raw/b", "is busy", "wait")

    with pytest.raises(SensorproofError, match="is busy"):
        dvc.patiently(action)
