"""Archives that are broken, lie, or want more than they may are refused before they do harm."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.array_import import SIZE, Case, N


def test_pickles_are_not_loaded(case: Case) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (case.root / "opened",))

    case.arrays["heat"] = np.array([Trap()] * N, dtype=object)
    for source in ("arrays.npz", "folder"):
        case.source = case.root / source
        case.write()
        assert "holds pickled objects" in case.refused()[0]
    assert not (case.root / "opened").exists()


def npy(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def replace_member(source: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(source) as archive:
        members = {m: archive.read(m) for m in archive.namelist()}
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in (members | {name: content}).items():
            archive.writestr(member, data)


def test_what_unpacks_to_too_much_is_refused_unread(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write()
    monkeypatch.setattr("shutil.copyfileobj", pytest.fail)
    line, code = case.refused("--max-gib", "0.00001")
    assert "more than 1e-05; raise --max-gib" in line
    assert code == 1
    replace_member(case.source, "heat.npy", npy((N, 4000, 4000), "|u1", bytes(N * 4000 * 4000)))
    assert case.source.stat().st_size < 200_000
    assert "its arrays take 0.0894 GiB unpacked, more than 0.05" in case.refused("--max-gib", "0.05")[0]


@pytest.mark.parametrize("claimed", [N - 1, N + 1, 10**12])
def test_headers_that_lie_are_refused_unread(case: Case, claimed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write()
    monkeypatch.setattr("shutil.copyfileobj", pytest.fail)
    replace_member(case.source, "heat.npy", npy((claimed, *SIZE), "<u2", case.arrays["heat"].tobytes()))
    assert "array 'heat' is not as long as its header says" in case.refused()[0]


def test_a_truncated_or_garbled_archive_is_one_line(case: Case) -> None:
    case.write()
    whole = case.source.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        case.source.write_bytes(whole[:length])
        assert "is not a whole archive" in case.refused()[0]
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.getinfo("rgb.npy").header_offset + 200
    case.source.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
    assert "is not a whole archive" in case.refused()[0]


def test_a_truncated_npy_is_one_line(case: Case) -> None:
    case.source = case.root / "folder"
    case.write()
    whole = (case.source / "heat.npy").read_bytes()
    for length in (0, 5, 60, len(whole) - 1):
        (case.source / "heat.npy").write_bytes(whole[:length])
        assert "array 'heat' is not" in case.refused()[0]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_array_names_cannot_leave_the_folder(case: Case, name: str) -> None:
    case.source = case.root / "folder"
    case.write()
    np.save(case.root / "secret.npy", case.arrays["heat"])
    case.mapping["sensors"]["thermal"]["array"] = name
    assert "leaves the folder" in case.refused()[0]
