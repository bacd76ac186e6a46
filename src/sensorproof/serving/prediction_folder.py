"""The folder of a batch's predictions: begun by the first process, finished by the last, and continued after a kill.

predictions.json says what the predictions are of, and is the lock under which work begins and ends. While there is
work left, each shard has a part of the table, predictions-<i>-of-<n>.csv; its rows are the frames that are done. The
last shard to finish writes predictions.csv and removes the parts. So predictions.csv means: complete.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorproof.data.batch import Batch
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.files import atomic_file
from sensorproof.serving.pictures import FOLDERS, picture_files
from sensorproof.serving.prediction_record import PredictionRecord
from sensorproof.serving.prediction_rows import HEADER, OpenPart, Row, check_idle, read_rows
from sensorproof.serving.shards import Shard

TABLE = "predictions.csv"
RECORD = "predictions.json"
_PART = re.compile(r"predictions-([0-9]+)-of-([0-9]+)\.csv")
_NO_SENSOR = "no frame has a sensor that the model knows"
_COMPLETE = ("holds predictions already", "choose another folder, or replace them with --force")


@dataclass(frozen=True)
class PredictionFolder:
    """A folder that holds the predictions of one batch, or is to hold them.

    Args:
        root: the folder.
        record: what the predictions are of.
        batch: the batch.
    """

    root: Path
    record: PredictionRecord
    batch: Batch

    def part(self, shard: Shard) -> Path:
        """Return the path of a shard's part of the table."""
        return self.root / f"predictions-{shard.number}-of-{shard.count}.csv"

    def begin(self, shard: Shard, force: bool) -> OpenPart | None:
        """Begin a shard or go on with it.

        Args:
            shard: which.
            force: replace what is there, unless it is the same work unfinished.

        Returns:
            The shard's part of the table, open for more rows; None where the predictions turn out to be complete, and
            only the end of the last process was missing.

        Raises:
            UsageError: the folder holds something else, complete predictions, or unfinished ones of another model,
                batch, options or number of shards.
            BusyError: another process predicts the same shard, or what would be replaced.
        """
        self._check_ours(force)
        with self._locked() as descriptor:
            if self._is_merged(descriptor):
                self._tidy()
                return None
            if fault := self._obstacle(descriptor, shard):
                if not force:
                    raise UsageError(self.root, *fault)
                self._clear(descriptor)
            if self._read_record(descriptor) is None:
                self._clear(descriptor)
                text = json.dumps(self.record.to_json(), indent=2) + "\n"
                os.pwrite(descriptor, text.encode(), 0)
                os.fsync(descriptor)
            for name in FOLDERS:
                (self.root / name).mkdir(exist_ok=True)
            ids = self.batch.frames.frame_id.iloc[list(self._rows(shard))].tolist()
            return OpenPart(self.part(shard), lambda place, row: place < len(ids) and self._is_done(row, ids[place]))

    def finish(self, part: OpenPart, shard: Shard) -> list[Shard]:
        """Close a shard whose frames are all done, and complete the predictions if it was the last.

        Returns:
            The shards that are not done yet.

        Raises:
            SensorproofError: all shards are done, and not one frame was predicted; the folder is removed.
        """
        with self._locked() as descriptor:
            part.close()
            if (self.root / TABLE).exists():
                return []
            if waiting := [each for each in shard.all() if not self._is_whole(each)]:
                return waiting
            if not any(row.prediction for row in self._rows_of_parts(shard)):
                why = next((row.faults for row in self._rows_of_parts(shard) if row.faults), _NO_SENSOR)
                self._remove(descriptor)
                raise SensorproofError(self.batch.root, f"no frame could be predicted ({why})", "fix the files")
            with atomic_file(self.root / TABLE) as temporary, temporary.open("wb") as table:
                table.write(HEADER)
                for row in self._rows_of_parts(shard):
                    table.write(row.encode())
            self._tidy()
        return []

    def rows(self, shard: Shard) -> Iterator[Row]:
        """Yield the rows of a shard, from its part or from the table."""
        mine = self._rows(shard)
        try:
            file, skipped = self.part(shard).open("rb"), 0
        except FileNotFoundError:
            file, skipped = (self.root / TABLE).open("rb"), mine.start
        with file:
            for place, row in enumerate(read_rows(file)):
                if skipped <= place < skipped + len(mine):
                    yield row

    def _rows(self, shard: Shard) -> range:
        return shard.rows(len(self.batch.frames))

    def _check_ours(self, force: bool) -> None:
        """Refuse a folder that holds anything but predictions, or complete ones of an older version without force."""
        if not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir())):
            return
        if (self.root / RECORD).is_file():
            return
        if not (self.root / TABLE).is_file():
            raise UsageError(self.root, "exists and holds no predictions", "choose another folder")
        if not force:
            raise UsageError(self.root, *_COMPLETE)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the folder for the time it takes to begin or to end; yield the descriptor of its record."""
        while True:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / RECORD, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:  # else the last holder removed the folder
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _read_record(self, descriptor: int) -> Any:
        """Return what the folder's predictions are of, as JSON; None where none have begun."""
        try:
            return json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        except ValueError:
            return None

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if _PART.fullmatch(path.name))

    def _is_merged(self, descriptor: int) -> bool:
        """Whether these predictions were complete when a process was killed before it removed the parts."""
        unfinished = (self.root / TABLE).exists() and bool(self._parts())
        return unfinished and self._read_record(descriptor) == self.record.to_json()

    def _obstacle(self, descriptor: int, shard: Shard) -> tuple[str, str] | None:
        """Return what is there that must not be touched without force, and what to do."""
        if (self.root / TABLE).exists():
            return _COMPLETE
        before = self._read_record(descriptor)
        if before is None:
            return None
        if difference := self.record.difference_from(before):
            return f"holds unfinished predictions of {difference}", "choose another folder, or start over with --force"
        counts = {int(match[2]) for path in self._parts() if (match := _PART.fullmatch(path.name))}
        if counts and counts != {shard.count}:
            known = min(counts)
            fix = f"go on with {'--shard i/' + str(known) if known > 1 else 'no --shard'}, or start over with --force"
            return f"holds unfinished predictions in {known} shard{'s' * (known > 1)}, not {shard.count}", fix
        return None

    def _is_done(self, row: Row, frame_id: str) -> bool:
        """Whether a row is that of a frame, and its pictures are there."""
        if row.frame_id != frame_id:
            return False
        return not row.prediction or all((self.root / file).is_file() for file in picture_files(row.prediction))

    def _is_whole(self, shard: Shard) -> bool:
        """Whether a shard has all its rows."""
        try:
            with self.part(shard).open("rb") as file:
                return sum(1 for _ in read_rows(file)) == len(self._rows(shard))
        except FileNotFoundError:
            return False

    def _rows_of_parts(self, shard: Shard) -> Iterator[Row]:
        for each in shard.all():
            with self.part(each).open("rb") as file:
                yield from read_rows(file)

    def _tidy(self) -> None:
        """Remove what only unfinished predictions have: temporary files of killed processes, and at last the parts."""
        for folder, pattern in ((self.root, ".predictions.*"), *((self.root / name, ".*") for name in FOLDERS)):
            for path in folder.glob(pattern):
                path.unlink()
        for path in self._parts():
            path.unlink()

    def _clear(self, descriptor: int) -> None:
        """Remove all predictions, but not what else lies in the folder."""
        for path in self._parts():
            check_idle(path)
        os.ftruncate(descriptor, 0)
        (self.root / TABLE).unlink(missing_ok=True)
        for path in self._parts():
            path.unlink()
        for name in FOLDERS:
            shutil.rmtree(self.root / name, ignore_errors=True)

    def _remove(self, descriptor: int) -> None:
        """Remove the folder, except what else lies in it."""
        self._clear(descriptor)
        (self.root / RECORD).unlink()
        with suppress(OSError):
            self.root.rmdir()
