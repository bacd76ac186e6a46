"""Find a data set's frames: its root, its lists of frames, names that become frame ids."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from sensorproof.data.frame_table import Split
from sensorproof.errors import BatchError, UsageError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS = {".png", ".jpg", ".jpeg", ".npy"}
_BLOCK = 50
"""Consecutive frames that make one sequence where a data set names none."""


def require(root: Path, parts: Sequence[str], title: str, page: str) -> None:
    """Check that a folder is the root of a data set.

    Args:
        root: the folder.
        parts: files or folders that every copy has.
        title: of the data set.
        page: where it can be had.

    Raises:
        UsageError: the folder or a part is missing. If the data set lies one folder deeper, the fix names that one.
    """
    if not root.is_dir():
        raise UsageError(root, "is not a folder", f"give the folder of {title}; it can be had from {page}")
    missing = [part for part in parts if not (root / part).exists()]
    if not missing:
        return
    deeper = [folder for folder in sorted(root.iterdir()) if all((folder / part).exists() for part in parts)]
    above = root.resolve().parent
    if deeper:
        fix = f"give {deeper[0]}"
    elif all((above / part).exists() for part in parts):
        fix = f"give {above}"
    else:
        fix = f"give the folder that has {', '.join(parts)}; {title} can be had from {page}"
    verb = "is" if len(missing) == 1 else "are"
    raise UsageError(root, f"is not the folder of {title}: {', '.join(missing)} {verb} missing", fix)


def read_lists(root: Path, lists: Mapping[Split, str]) -> list[tuple[Split, str]]:
    """Read the lists of a data set's splits: one frame a line, with or without a folder, an ending or further columns.

    Returns:
        The split and the name of every frame, in the order of the lists.

    Raises:
        BatchError: a list cannot be read, has no frame, or a frame is listed twice.
    """
    frames: list[tuple[Split, str]] = []
    known: dict[str, str] = {}
    for split, relative in lists.items():
        path = root / relative
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BatchError(path, f"cannot be read ({error})", "copy the list again") from error
        names = [_name(line.split()[0]) for line in lines if line.strip()]
        if not names:
            raise BatchError(path, "names no frame", "copy the list again")
        for name in names:
            if name in known:
                fault = (
                    f"names {name} twice" if known[name] == split else f"names {name}, as the {known[name]} list does"
                )
                raise BatchError(path, fault, "copy the lists again: a frame belongs to one split")
            known[name] = split
            frames.append((split, name))
    return frames


def _name(cell: str) -> str:
    """Return a frame's name: `0012` for `RGB/0012.jpg`."""
    path = PurePosixPath(cell.replace("\\", "/"))
    return path.stem if path.suffix.lower() in _ENDINGS else path.name


def frame_id(name: str) -> str:
    """Return a name or a path as a frame id: with hyphens for what file names should not have."""
    return _UNSAFE.sub("-", name).strip("-.")


def block(name: str) -> str:
    """Return the sequence of a frame where the data set names none: blocks of consecutive numbers.

    So a validation part that is taken from the training frames consists of whole blocks, not of single frames with
    their neighbours in training.
    """
    digits = re.search(r"\d+", name)
    return f"block-{int(digits[0]) // _BLOCK:04d}" if digits else "block-none"


def image_size(root: Path, candidates: Sequence[str], usual: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the first image that can be opened; the usual ones if there is none.

    Args:
        root: the data set's folder.
        candidates: paths of images, relative to it.
        usual: what the authors name.
    """
    for relative in candidates:
        try:
            with Image.open(root / relative) as image:
                return image.height, image.width
        except OSError:
            continue
    return usual
