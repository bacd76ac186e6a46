"""Archives: what is a batch comes out whole, everything else is refused and leaves nothing behind."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.ingestion.archives import is_archive, stem, unpack
from sensorproof.settings import ArchiveLimits

LIMITS = ArchiveLimits(max_files=20, max_gib=0.01, max_ratio=100)
FILES = {"batch.yaml": b"name: batch\n", "camera/1.png": b"one", "camera/2.png": b"two"}


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in extra:
            archive.addfile(entry)
    data = packed.getvalue()
    if path.name.endswith(".zst"):
        path.write_bytes(zstandard.ZstdCompressor().compress(data))
    else:
        import gzip

        path.write_bytes(gzip.compress(data))
    return path


MAKERS: dict[str, Callable[..., Path]] = {".zip": make_zip, ".tar.gz": make_tar, ".tgz": make_tar, ".tar.zst": make_tar}


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", MAKERS)
@pytest.mark.parametrize("folder", ["", "field-1/", "./field-1/"])
def test_a_batch_comes_out_whole(ending: str, folder: str, tmp_path: Path) -> None:
    archive = MAKERS[ending](tmp_path / f"day{ending}", {folder + name: data for name, data in FILES.items()})
    assert is_archive(archive)
    assert stem(archive) == "day"
    assert content(unpack(archive, tmp_path / "out", LIMITS)) == FILES


def entry_of(kind: bytes, name: str = "link") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return entry


def zip_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absolute": (lambda p: make_tar(p / "a.tar.gz", {"/tmp/evil": b"x"}), "leaves the archive"),
    "absolute zip": (lambda p: make_zip(p / "a.zip", {"/evil": b"x"}), "leaves the archive"),
    "parent": (lambda p: make_zip(p / "a.zip", {"../evil": b"x"}), "leaves the archive"),
    "inner parent": (lambda p: make_tar(p / "a.tar.zst", {"a/../../evil": b"x"}), "leaves the archive"),
    "windows": (lambda p: make_zip(p / "a.zip", {"..\\evil": b"x"}), "leaves the archive"),
    "drive": (lambda p: make_zip(p / "a.zip", {"C:/evil": b"x"}), "leaves the archive"),
    "link": (lambda p: make_tar(p / "a.tar.gz", {}, entry_of(tarfile.SYMTYPE)), "is a link or a device"),
    "hard link": (lambda p: make_tar(p / "a.tar.gz", {}, entry_of(tarfile.LNKTYPE)), "is a link or a device"),
    "device": (lambda p: make_tar(p / "a.tar.gz", {}, entry_of(tarfile.CHRTYPE)), "is a link or a device"),
    "pipe": (lambda p: make_tar(p / "a.tar.gz", {}, entry_of(tarfile.FIFOTYPE)), "is a link or a device"),
    "zip link": (lambda p: zip_link(p / "a.zip"), "is a link or a device"),
    "twice": (lambda p: make_tar(p / "a.tar.gz", {"b": b"x", "./b": b"y"}), "comes twice"),
    "below a file": (lambda p: make_tar(p / "a.tar.gz", {"b": b"x", "b/c": b"y"}), "comes twice"),
    "many": (lambda p: make_zip(p / "a.zip", {str(k): b"" for k in range(21)}), "more than 20 entries"),
    "large": (lambda p: make_zip(p / "a.zip", {"a": bytes(range(256)) * 50_000}), "times its size|GiB"),
    "bomb": (lambda p: make_tar(p / "a.tar.gz", {"a": b"\0" * 5_000_000}), "more than 100 times its size"),
    "bomb zst": (lambda p: make_tar(p / "a.tar.zst", {"a": b"\0" * 5_000_000}), "more than 100 times its size"),
    "no batch": (lambda p: make_zip(p / "a.zip", {"readme": b"x"}), "holds no batch.yaml"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_plain_batch_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    make, fault = HOSTILE[name]
    archive = make(tmp_path)
    with pytest.raises(RejectedError, match=fault) as caught:
        unpack(archive, tmp_path / "out", LIMITS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("ending", MAKERS)
@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.9])
def test_a_cut_off_archive_is_refused(ending: str, kept: float, tmp_path: Path) -> None:
    archive = MAKERS[ending](tmp_path / f"day{ending}", FILES | {"camera/3.png": bytes(range(256)) * 40})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    with pytest.raises(RejectedError, match=r"is not a whole archive|holds no batch.yaml"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert list(tmp_path.iterdir()) == [archive]


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / "day.zip", FILES)

    mkdir = Path.mkdir

    def fail(self: Path, **options: bool) -> None:
        if self.name != "camera":
            return mkdir(self, **options)
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(SensorproofError, match="No space left on device") as caught:
        unpack(archive, tmp_path / "out", LIMITS)
    assert not isinstance(caught.value, RejectedError)
