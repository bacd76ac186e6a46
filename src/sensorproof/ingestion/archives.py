"""Unpack an archive that somebody sent: only plain files and folders inside the target, within limits."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.files import confined
from sensorproof.settings import ArchiveLimits

ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar.zst")
"""Names of archives end like this."""
_CHUNK = 1 << 20
_SLACK_BYTES = 1 << 20
"""So little may be unpacked from any archive: a few empty images are packed more tightly than `max_ratio`."""


def is_archive(path: Path) -> bool:
    """Return whether a file's name is that of an archive."""
    return path.name.lower().endswith(ENDINGS)


def stem(path: Path) -> str:
    """Return an archive's name without its ending."""
    ending = next(ending for ending in ENDINGS if path.name.lower().endswith(ending))
    return path.name[: -len(ending)]


def unpack(archive: Path, target: Path, limits: ArchiveLimits) -> Path:
    """Unpack an archive and return the folder in it that has batch.yaml: the archive's top, or its only folder.

    Args:
        archive: a .zip, .tar.gz or .tar.zst file.
        target: a folder that does not exist yet; it is removed on an error.
        limits: on number, size and ratio.

    Raises:
        RejectedError: the archive is damaged; has an entry that is absolute, leaves the target, or is a link or a
            device; exceeds a limit; or holds no batch.
    """
    target.mkdir(parents=True)
    try:
        unpacker = _Unpacker(archive, target, limits)
        with _damage(archive):
            if archive.name.lower().endswith(".zip"):
                _unpack_zip(unpacker)
            else:
                _unpack_tar(unpacker)
        return _batch_in(archive, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


class _Unpacker:
    """Writes entries into a folder and counts what it writes, whatever the archive claims."""

    def __init__(self, archive: Path, target: Path, limits: ArchiveLimits) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.packed = archive.stat().st_size
        self.entries, self.bytes = 0, 0

    def refuse(self, fault: str, fix: str = "pack only the batch's own files") -> RejectedError:
        return RejectedError(self.archive, fault, fix)

    def count(self) -> None:
        """Count an entry."""
        self.entries += 1
        if self.entries > self.limits.max_files:
            raise self.refuse(f"holds more than {self.limits.max_files:,} entries", _RAISE.format("max_files"))

    def place(self, name: str) -> Path | None:
        """Return where an entry goes; None for the top of the archive itself."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not [part for part in parts if part != "."]:
            return None
        if PurePosixPath(name).is_absolute() or ".." in parts or ":" in parts[0] or parts[0] == "/":
            raise self.refuse(f"entry {name!r:.80} leaves the archive")
        try:
            return confined(self.target, "/".join(parts))
        except SensorproofError as error:
            raise self.refuse(f"entry {name!r:.80} is not a path inside the archive") from error

    def write(self, name: str, stream: IO[bytes]) -> None:
        """Write one file; a name that comes twice is refused."""
        path = self.place(name)
        if path is None:
            raise self.refuse(f"entry {name!r:.80} is not a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                while chunk := stream.read(_CHUNK):
                    self.bytes += len(chunk)
                    self._check_size()
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise self.refuse(f"entry {name!r:.80} comes twice") from error

    def _check_size(self) -> None:
        if self.bytes > self.limits.max_gib * 2**30:
            raise self.refuse(f"unpacks to more than {self.limits.max_gib:g} GiB", _RAISE.format("max_gib"))
        if self.bytes > max(self.limits.max_ratio * self.packed, _SLACK_BYTES):
            fault = f"unpacks to more than {self.limits.max_ratio:g} times its size"
            raise self.refuse(fault, _RAISE.format("max_ratio"))


_RAISE = "raise ingestion.archives.{} in params.yaml if that is intended"


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    """Turn what the libraries raise for a damaged archive into one line."""
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        if isinstance(error, SensorproofError):
            raise
        raise RejectedError(archive, f"is not a whole archive ({error})", "send it again") from error
    except OSError as error:
        if error.errno is not None:  # a full disk, no permission
            where = error.filename or archive
            raise SensorproofError(where, f"cannot be unpacked ({error.strerror})", "make room, then repeat") from error
        raise RejectedError(archive, f"is not a whole archive ({error})", "send it again") from error


def _unpack_zip(unpacker: _Unpacker) -> None:
    with zipfile.ZipFile(unpacker.archive) as opened:
        for entry in opened.infolist():
            unpacker.count()
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise unpacker.refuse(f"entry {entry.filename!r:.80} is a link or a device")
            if entry.is_dir():
                unpacker.place(entry.filename)
                continue
            with opened.open(entry) as stream:
                unpacker.write(entry.filename, stream)


def _unpack_tar(unpacker: _Unpacker) -> None:
    with (
        unpacker.archive.open("rb") as file,
        _decompressed(unpacker.archive, file) as (stream, mode),
        tarfile.open(fileobj=stream, mode=mode) as opened,
    ):
        for entry in opened:
            unpacker.count()
            if entry.isdir():
                unpacker.place(entry.name)
            elif entry.isreg():
                content = opened.extractfile(entry)
                assert content is not None
                unpacker.write(entry.name, content)
            else:
                raise unpacker.refuse(f"entry {entry.name!r:.80} is a link or a device")


@contextmanager
def _decompressed(archive: Path, file: IO[bytes]) -> Iterator[tuple[Any, Any]]:
    """Yield a stream and the mode in which tarfile reads it from its beginning to its end."""
    if not archive.name.lower().endswith(".zst"):
        yield file, "r|gz"
        return
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file) as stream:
        try:
            yield stream, "r|"
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error


def _batch_in(archive: Path, target: Path) -> Path:
    """Return the folder with batch.yaml."""
    if (target / "batch.yaml").is_file():
        return target
    folders = [path for path in target.iterdir() if path.is_dir() and path.name != "__MACOSX"]
    if len(folders) == 1 and (folders[0] / "batch.yaml").is_file():
        return folders[0]
    raise RejectedError(archive, "holds no batch.yaml at its top or in its only folder", "pack one batch in an archive")
