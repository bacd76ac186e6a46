"""What is listed, hashed and copied of a batch, and what never is."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.paths import ROOT
from sensorproof.errors import BatchError, RejectedError, SensorproofError
from sensorproof.ingestion import file_manifest


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    root = tmp_path / "batch"
    (root / "camera").mkdir(parents=True)
    (root / "batch.yaml").write_text("name: batch\n")
    (root / "camera" / "1.png").write_bytes(b"one")
    (root / "camera" / "2.png").write_bytes(b"two")
    return root


def test_a_copy_is_the_same_by_name_and_bytes(batch: Path, tmp_path: Path) -> None:
    listing = file_manifest.hash_files(batch)
    assert listing["camera/1.png"] == "f97c5d29941bfb1b2fdab0874906ab82"
    file_manifest.copy_files(batch, tmp_path / "copy", listing)
    assert file_manifest.hash_files(tmp_path / "copy") == listing


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.binary(max_size=64), min_size=1))
def test_two_folders_have_one_listing_only_if_they_are_alike(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    roots = [tmp_path_factory.mktemp("folder") for _ in range(2)]
    for root in roots:
        for name, data in files.items():
            (root / name).write_bytes(data)
    first, second = map(file_manifest.hash_files, roots)
    assert first == second
    changed = roots[1] / next(iter(files))
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert file_manifest.hash_files(roots[1]) != first


def test_a_link_inside_the_batch_is_copied_as_what_it_leads_to(batch: Path, tmp_path: Path) -> None:
    (batch / "camera" / "3.png").symlink_to("1.png")
    file_manifest.copy_files(batch, tmp_path / "copy", file_manifest.hash_files(batch))
    copy = tmp_path / "copy/camera/3.png"
    assert not copy.is_symlink()
    assert copy.read_bytes() == b"one"


DESKTOP_FILES = (".DS_Store", "camera/Thumbs.db", "camera/._1.png", "camera/desktop.ini")


def test_files_of_file_managers_are_no_part_of_a_batch(batch: Path, tmp_path: Path) -> None:
    manifest = file_manifest.hash_files(batch)
    for name in DESKTOP_FILES:
        (batch / name).write_bytes(b"x")
    assert file_manifest.hash_files(batch) == manifest
    file_manifest.copy_files(batch, tmp_path / "copy", manifest)
    assert not [name for name in DESKTOP_FILES if (tmp_path / "copy" / name).exists()]
    assert file_manifest.remove_copied(batch, tmp_path / "copy") == []
    assert not batch.exists()


def test_dvc_passes_over_the_same_files() -> None:
    patterns = (ROOT / ".dvcignore").read_text().split()
    assert all(
        Path(name).name in patterns or (name.startswith("camera/._") and "._*" in patterns) for name in DESKTOP_FILES
    )


def link_out(root: Path) -> None:
    (root.parent / "secret").write_text("secret")
    (root / "camera" / "3.png").symlink_to("../../secret")


def link_folder(root: Path) -> None:
    (root / "thermal").symlink_to("camera")


def pipe(root: Path) -> None:
    os.mkfifo(root / "pipe")


def no_text(root: Path) -> None:
    (root / os.fsdecode(b"\xff.png")).touch()


def line_break(root: Path) -> None:
    (root / "a\nb").touch()


def pointer(root: Path) -> None:
    (root / "camera.dvc").touch()


def checkout(root: Path) -> None:
    (root / ".git").mkdir()


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (link_out, "out of the batch"),
        (link_folder, "link to a folder"),
        (pipe, "neither a file nor a folder"),
        (no_text, "not plain text"),
        (line_break, "not plain text"),
        (pointer, "belongs to git or DVC"),
        (checkout, "belongs to git or DVC"),
    ],
)
def test_what_is_no_data_is_refused(spoil: object, fault: str, batch: Path) -> None:
    spoil(batch)  # type: ignore[operator]
    with pytest.raises(BatchError, match=fault) as caught:
        file_manifest.list_files(batch)
    assert "\n" not in str(caught.value)


def grow(root: Path) -> None:
    (root / "camera" / "1.png").write_bytes(b"one and a half")


def shrink(root: Path) -> None:
    (root / "camera" / "2.png").unlink()


def add(root: Path) -> None:
    (root / "camera" / "3.png").write_bytes(b"three")


@pytest.mark.parametrize("change", [grow, shrink, add])
def test_a_batch_that_changes_while_it_is_read_is_refused(change: object, batch: Path, tmp_path: Path) -> None:
    listing = file_manifest.hash_files(batch)
    change(batch)  # type: ignore[operator]
    with pytest.raises(RejectedError, match="while the batch was read; wait until the batch is complete"):
        file_manifest.copy_files(batch, tmp_path / "copy", listing)


def test_only_what_was_copied_is_removed(batch: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    file_manifest.copy_files(batch, copy, file_manifest.hash_files(batch))
    add(batch)
    grow(batch)
    assert file_manifest.remove_copied(batch, copy) == ["camera/1.png", "camera/3.png"]
    assert sorted(p.name for p in batch.rglob("*") if p.is_file()) == ["1.png", "3.png"]


def test_removal_goes_on_where_it_was_cut_short(batch: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    file_manifest.copy_files(batch, copy, file_manifest.hash_files(batch))
    shrink(batch)
    assert file_manifest.remove_copied(batch, copy) == []
    assert not batch.exists()
    assert file_manifest.remove_copied(batch, copy) == []


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(batch: Path) -> None:
    if os.geteuid() == 0:  # nothing is closed to root: take away the file behind the name instead
        (batch / "camera" / "3.png").symlink_to("gone.png")
    else:
        (batch / "camera").chmod(0)
    with pytest.raises(SensorproofError):
        file_manifest.hash_files(batch)
    if os.geteuid():
        (batch / "camera").chmod(0o755)
