"""Named arrays of an .npz file or of a folder of .npy files, memory-mapped. Sizes are checked before reading."""

import math
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.errors import BatchError, UsageError
from sensorproof.files import confined

Arrays = dict[str, NDArray[Any]]
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MAX_HEADER = 10_000
"""Bytes in the header of an array."""


@contextmanager
def open_arrays(source: Path, names: Sequence[str], scratch: Path, max_bytes: int) -> Iterator[Arrays]:
    """Yield the named arrays, memory-mapped and read-only.

    Args:
        source: an .npz file or a folder of .npy files.
        names: of the arrays.
        scratch: a folder in which an archive is unpacked to a temporary folder, so that memory does not grow with it.
        max_bytes: of all arrays together, unpacked.

    Raises:
        UsageError: `source` is neither, or has no array of such a name.
        BatchError: an array is broken or pickled, or together they are larger than `max_bytes`.
    """
    if source.is_dir():
        yield _map_all({name: _npy_in(source, name) for name in names}, source, max_bytes)
        return
    if source.suffix.lower() != ".npz" or not source.is_file():
        raise UsageError(source, "is neither an .npz file nor a folder of .npy files", "give one of them")
    with TemporaryDirectory(dir=scratch, prefix=f".{source.stem}.") as folder:
        try:
            with zipfile.ZipFile(source) as archive:
                paths = _unpack(archive, source, names, Path(folder), max_bytes)
        except UsageError:  # it lacks an array
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise BatchError(source, f"is not a whole archive ({error})", "copy or write the file again") from error
        yield _map_all(paths, source, max_bytes)


def _npy_in(folder: Path, name: str) -> Path:
    """Return the file of an array in a folder."""
    path = confined(folder, f"{name}.npy")
    if not path.is_file():
        available = sorted(file.stem for file in folder.glob("*.npy"))
        raise UsageError(folder, f"has no array {name!r}", f"it has {', '.join(available) or 'none'}")
    return path


def _unpack(
    archive: zipfile.ZipFile, source: Path, names: Sequence[str], folder: Path, max_bytes: int
) -> dict[str, Path]:
    """Unpack arrays into a folder, after a check of their sizes against their headers and against the limit."""
    members = {}
    for name in names:
        try:
            members[name] = archive.getinfo(f"{name}.npy")
        except KeyError as error:
            available = sorted(member.removesuffix(".npy") for member in archive.namelist())
            raise UsageError(source, f"has no array {name!r}", f"it has {', '.join(available) or 'none'}") from error
    _refuse_oversize(source, sum(member.file_size for member in members.values()), max_bytes)
    for name, member in members.items():
        with archive.open(member) as stream:
            _check_header(stream, source, name, member.file_size)
    paths = {name: folder / f"{place}.npy" for place, name in enumerate(names)}
    for name, member in members.items():
        with archive.open(member) as stream, paths[name].open("wb") as file:
            shutil.copyfileobj(stream, file, 2**20)
    return paths


def _check_header(stream: IO[bytes], source: Path, name: str, size: int) -> None:
    """Check an array's header against the size of its file, in bytes."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise BatchError(source, f"array {name!r} has NPY version {version}", "write it with numpy.save")
    shape, _, dtype = _HEADERS[version](stream, max_header_size=_MAX_HEADER)
    _refuse_dtype(source, name, dtype)
    if stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise BatchError(source, f"array {name!r} is not as long as its header says", "write it with numpy.savez")


def _refuse_dtype(source: Path, name: str, dtype: np.dtype) -> None:
    """Refuse types that only pickle can read, and records."""
    if dtype.hasobject:
        fix = "save numbers or text (numpy.array(names, dtype=str)); a pickle can run any code, so none is loaded"
        raise BatchError(source, f"array {name!r} holds pickled objects", fix)
    if dtype.kind not in "biufSU":
        raise BatchError(source, f"array {name!r} holds {dtype}", "save plain numbers or text")


def _refuse_oversize(source: Path, size: int, max_bytes: int) -> None:
    """Refuse arrays that are larger than allowed together."""
    if size > max_bytes:
        fault = f"its arrays take {size / 2**30:.3g} GiB unpacked, more than {max_bytes / 2**30:.3g}"
        raise BatchError(source, fault, "raise --max-gib if that is intended, or import it in parts")


def _map_all(paths: dict[str, Path], source: Path, max_bytes: int) -> Arrays:
    """Map every file, read-only, after a check of its header against its length."""
    arrays: Arrays = {}
    for name, path in paths.items():
        try:
            with path.open("rb") as stream:
                _check_header(stream, source, name, path.stat().st_size)
            arrays[name] = np.lib.format.open_memmap(path, mode="r", max_header_size=_MAX_HEADER)
        except (ValueError, EOFError) as error:
            raise BatchError(source, f"array {name!r} is not whole ({error})", "write it with numpy.save") from error
    _refuse_oversize(source, sum(array.nbytes for array in arrays.values()), max_bytes)
    return arrays
