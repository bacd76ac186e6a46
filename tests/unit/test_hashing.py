"""Hashes name content: equal content has equal hashes, and what DVC records can be compared."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.hashing import dvc_md5, git_commit, hash_file, hash_files, hash_json, hash_prepared, new_dvc_md5


@given(
    st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=5)
)
def test_the_order_of_keys_does_not_matter(value: dict[str, float]) -> None:
    assert hash_json(value) == hash_json(dict(reversed(list(value.items()))))
    assert hash_json(value) != hash_json({**value, "one more": 0.5})


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_numbers_that_are_not_finite_have_no_hash(value: object) -> None:
    with pytest.raises(ValueError):
        hash_json(value)


@given(st.binary(max_size=100))
def test_files_are_hashed_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.bin").write_bytes(content)
    assert hash_file(folder / "a.bin") == hashlib.sha256(content).hexdigest()
    assert hash_files(folder, ["a.bin"]) == {"a.bin": hashlib.sha256(content).hexdigest()}
    assert dvc_md5(folder / "a.bin") == hashlib.md5(content).hexdigest()


def test_line_endings_are_not_converted_for_dvc(tmp_path: Path) -> None:
    """The expected value is what `dvc add` of DVC 3 records for this file."""
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    digest = new_dvc_md5()
    for chunk in (b"one\r\n", b"two\r\n"):
        digest.update(chunk)
    assert dvc_md5(tmp_path / "a.txt") == digest.hexdigest() == "4e03dd5f05f68ca4f8941fd80c63e0b2"


def test_prepared_data_is_known_by_its_files_and_the_rows_in_use(tmp_path: Path) -> None:
    (tmp_path / "label.npy").write_bytes(b"pixels")
    (tmp_path / "frames.csv").write_text("frame_id\n")
    first = hash_prepared(tmp_path, [0, 1, 2])
    assert hash_prepared(tmp_path, [0, 1, 2]) == first
    assert hash_prepared(tmp_path, [0, 2]) != first
    files = {name: hash_file(tmp_path / name) for name in ("frames.csv", "label.npy")}
    assert first == hashlib.sha256(json.dumps([files, [0, 1, 2]], separators=(",", ":")).encode()).hexdigest()
    (tmp_path / "label.npy").write_bytes(b"other pixels")
    assert hash_prepared(tmp_path, [0, 1, 2]) != first


def test_a_commit_is_named_and_marked_where_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == "none"
    (tmp_path / "a").write_text("1")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "--quiet"], ["add", "a"], [*who, "commit", "--quiet", "--message=x"]):
        subprocess.run(["git", *command], check=True)
    clean = git_commit()
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit() == f"{clean}-dirty"
    monkeypatch.setenv("PATH", "")
    assert git_commit() == "none"
