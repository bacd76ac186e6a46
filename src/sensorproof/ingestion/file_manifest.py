"""List, hash and copy the files of a batch, so that what was reviewed is what is kept."""

import os
from pathlib import Path

from sensorproof.errors import BatchError, RejectedError
from sensorproof.hashing import dvc_md5, new_dvc_md5

FileManifest = dict[str, str]
"""Relative path (parts joined by `/`) -> MD5 in hex, the hash by which DVC names content."""
CHUNK = 1 << 20
_TOOLS = {".git", ".dvc", ".dvcignore", "dvc.yaml", "dvc.lock"}
"""Names that git and DVC would act on wherever they find them."""
_DESKTOP_FILES = {".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"}
"""What file managers leave in folders that are looked at; .dvcignore lists the same names."""


def is_desktop_file(name: str) -> bool:
    """Return whether a file is a file manager's own, such as `.DS_Store` or `._image.png`: no part of a batch."""
    return name in _DESKTOP_FILES or name.startswith("._")


def list_files(root: Path) -> list[str]:
    """Return the relative paths of all files in a folder, sorted; files of file managers are passed over.

    Raises:
        BatchError: something in it is neither a file nor a folder, is a link that leaves it or leads to a folder,
            belongs to git or DVC, or has a name that is not text.
    """
    inside = root.resolve()
    found: list[str] = []
    for folder, folders, names in os.walk(root, onerror=unreadable):
        names = [name for name in names if not is_desktop_file(name)]
        for name in (*folders, *names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not relative.isprintable() or not _is_text(relative):
                raise BatchError(root, f"file name {relative!r} is not plain text", "rename the file")
            if name in _TOOLS or name.endswith(".dvc"):
                raise BatchError(path, "belongs to git or DVC, not to a batch", "remove it")
            if path.is_symlink() and (not path.is_file() or not path.resolve().is_relative_to(inside)):
                raise BatchError(path, "is a link to a folder or out of the batch", "put a copy in its place")
            if name in names:
                if not path.is_file():
                    raise BatchError(path, "is neither a file nor a folder", "remove it")
                found.append(relative)
    return sorted(found)


def unreadable(error: OSError) -> None:
    """Raise the error: os.walk would pass over a folder that it cannot read."""
    raise error


def _is_text(name: str) -> bool:
    """Return whether a name is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def hash_files(root: Path) -> FileManifest:
    """Hash every file of a folder; see list_files for the errors."""
    try:
        return {relative: dvc_md5(root / relative) for relative in list_files(root)}
    except OSError as error:
        raise BatchError(error.filename or root, f"cannot be read ({error.strerror})", "copy it again") from error


def copy_files(source: Path, target: Path, manifest: FileManifest) -> None:
    """Copy the files of a manifest into a new folder and sync them to the disk.

    Raises:
        RejectedError: a file is missing or new, or has other bytes than the manifest says: it is still being written.
    """
    for relative, expected in manifest.items():
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            opened = (source / relative).open("rb")
        except FileNotFoundError as error:
            raise changed(source / relative) from error
        digest = new_dvc_md5()
        with opened, path.open("wb") as written:
            while chunk := opened.read(CHUNK):
                digest.update(chunk)
                written.write(chunk)
        if digest.hexdigest() != expected:
            raise changed(source / relative)
    if list_files(source) != sorted(manifest):
        raise RejectedError(source, "got other files while the batch was read", "wait until the batch is complete")
    os.sync()


def changed(path: Path) -> RejectedError:
    """Return the error for a file that changed while the batch was read."""
    return RejectedError(path, "changed while the batch was read", "wait until the batch is complete")


def _same_bytes(first: Path, second: Path) -> bool:
    """Return whether two files have the same content."""
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        while chunk := one.read(CHUNK):
            if other.read(CHUNK) != chunk:
                return False
    return True


def remove_copied(source: Path, copy: Path) -> list[str]:
    """Delete from source what is byte for byte in copy; return the relative paths of what is left.

    Files of file managers go as well.

    If it is interrupted, the next call continues.
    """
    if not source.is_dir():
        return []
    left: list[str] = []
    for folder, folders, names in os.walk(source, topdown=False):
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(source)
            twin = copy / relative
            if is_desktop_file(name) or (path.is_file() and twin.is_file() and _same_bytes(path, twin)):
                path.unlink()
            else:
                left.append(relative.as_posix())
        for name in folders:
            inner = Path(folder, name)
            if not inner.is_symlink() and not any(inner.iterdir()):
                inner.rmdir()
    if not any(source.iterdir()):
        source.rmdir()
    return sorted(left)
