"""What an import has done so far, so that one that was killed goes on where it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from sensorproof.data.importers.public.checking import CheckedFrame
from sensorproof.data.importers.public.layout import FoundFrame, Layout
from sensorproof.hashing import hash_json
from sensorproof.locks import locked

IMPORT_VERSION = 1
"""Raised when a frame would be checked or projected differently: results of earlier versions are then not used."""
_LEDGER = "checked.jsonl"


def frame_key(layout: Layout, frame: FoundFrame, root: Path, copy: bool) -> str:
    """Return a hash of all that a frame's result depends on: the layout, its files' lengths and times of change."""
    described = [IMPORT_VERSION, copy, layout.info.model_dump(mode="json"), repr(layout.projections)]
    files = [path for paths in frame.files.values() for path in paths] + [frame.label] * bool(frame.label)
    return hash_json([*described, sorted(frame.raw), [[path, *_state(root / path)] for path in files]])


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


class Ledger:
    """Results by frame, one JSON line each, in the folder of an import under way.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _LEDGER
        self.known: dict[str, CheckedFrame] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        for line in lines:
            try:
                checked = CheckedFrame.model_validate_json(line)
            except ValidationError:  # the process was killed while it wrote this line
                continue
            self.known[checked.frame_id] = checked

    def __enter__(self) -> Self:
        # Rewritten, so that half a line of a killed process does not spoil the next one.
        text = "".join(f"{checked.model_dump_json()}\n" for checked in self.known.values())
        self.path.write_text(text, encoding="utf-8")
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def get(self, frame: FoundFrame, key: str, folder: Path) -> CheckedFrame | None:
        """Return the result of a frame from an earlier run, if its files are still the same and its own are there."""
        checked = self.known.get(frame.frame_id)
        if checked is None or checked.key != key:
            return None
        own = [checked.cells[name] for name in frame.raw if name in checked.cells]
        return checked if all((folder / path).is_file() for path in own) else None

    def add(self, checked: CheckedFrame) -> None:
        """Note a result; it outlives the process."""
        self.known[checked.frame_id] = checked
        self._file.write(f"{checked.model_dump_json()}\n")
        self._file.flush()

    def results(self, frames: Sequence[FoundFrame]) -> list[CheckedFrame]:
        """Return the results of frames, in their order."""
        return [self.known[frame.frame_id] for frame in frames]


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Yield the folder in which a batch is made: always the same for the same batch, and for one process at a time.

    Raises:
        BusyError: another process imports to the same batch.
    """
    folder = out.parent / f".{out.name}.importing"
    folder.mkdir(parents=True, exist_ok=True)
    with locked("import", folder, wait=False):
        yield folder
