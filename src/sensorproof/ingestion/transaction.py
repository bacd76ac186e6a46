"""Ingest one batch as a transaction: a killed process leaves the raw data as they were, or the next call finishes it.

1. claimed     a lock on the source, which the system frees if the process is killed; an archive is unpacked
2. reviewed    compared with the batches that are there, and validated, in its own folder
3. copied      to <raw>/.incoming/<name>/batch, and checked against the hashes of what was reviewed
4. journaled   <raw>/.incoming/<name>/journal.json: without it the copy is dropped, with it the rest is done
5. placed      renamed to <raw>/<name> while no DVC stage reads there
6. versioned   `dvc add`; the .dvc file is committed if params.yaml says so
7. recorded    in the ledger
8. cleared     the source removed if it was to be moved; the journal removed

Only the last steps hold the lock on the raw data: a batch that takes long to review does not block the others.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sensorproof.adapters import dvc, git
from sensorproof.errors import EXIT_QUARANTINED, RejectedError, SensorproofError
from sensorproof.files import read_json, sync_folder, write_json
from sensorproof.hashing import hash_json
from sensorproof.ingestion.archives import is_archive, stem, unpack
from sensorproof.ingestion.file_manifest import copy_files, hash_files, remove_copied
from sensorproof.ingestion.ledger import LedgerEntry, now, read_entries, record
from sensorproof.ingestion.review import DuplicateError, Review, compare, compare_content, review_batch
from sensorproof.locks import BusyError, locked
from sensorproof.parallel import Progress
from sensorproof.settings import Settings

_INCOMING, _UNPACKED = ".incoming", ".unpacked"
"""Folders in raw for copies and archives that are not in place yet; .dvcignore hides them from DVC."""
_JOURNAL = "journal.json"


@dataclass(frozen=True)
class IngestResult:
    """An ingested batch. `source` is where it came from, `hash` is DVC's of the folder (`<md5>.dir`)."""

    name: str
    source: str
    move: bool
    frames: int
    quarantined: int
    size: int
    """Bytes."""
    warnings: tuple[str, ...] = ()
    hash: str = ""
    left: tuple[str, ...] = ()
    """Files that appeared or changed in the source after the copy, and stay there."""
    content: str = ""
    """SHA-256 (hex) of its files' names and bytes, by which the ledger knows it."""
    unpacked: str = ""
    """Where the source was unpacked, if it is an archive."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 3 if frames were quarantined."""
        return EXIT_QUARANTINED if self.quarantined else 0


def ingest_batch(
    source: Path, settings: Settings, *, move: bool = False, wait: bool = True, progress: Progress | None = None
) -> IngestResult:
    """Validate a batch, copy it to the raw data in one step, and version it with DVC. Run it in the project.

    An interrupted ingestion is finished first; if it was of this batch, its result is returned.

    Args:
        source: the batch's folder, or an archive of it. Its bytes are never altered.
        settings: all of params.yaml.
        move: remove the source once its copy is versioned.
        wait: wait while another process ingests the same source.
        progress: is told how many shards are measured, and of how many.

    Raises:
        RejectedError: the batch is faulty, its validation refuses it, or it conflicts with a batch that is there.
        BusyError: another process ingests it, and `wait` is False.
        SensorproofError: it could not be copied or versioned.
    """
    raw, claim = Path(settings.data.raw), _claim(source)
    with locked(claim, wait=wait):
        shutil.rmtree(raw / _UNPACKED / claim, ignore_errors=True)  # what a killed process has left
        for result in recover_interrupted(settings):
            if result.source == str(source.resolve()) and _is_finished(source, raw / result.name):
                return result
        try:
            with _as_folder(source, raw / _UNPACKED / claim, settings) as folder:
                review = review_batch(folder, settings, progress)
                return _place(source, folder, review, settings, move)
        except DuplicateError as error:
            _record_rejection(source, "duplicate", error, settings)
            raise
        except RejectedError as error:
            _record_rejection(source, "refused", error, settings)
            raise


def ingest_at_once(source: Path, settings: Settings) -> IngestResult:
    """Ingest a batch of the inbox and remove it from there, unless another process is about it; see `ingest_batch`."""
    return ingest_batch(source, settings, move=True, wait=False)


def recover_interrupted(settings: Settings) -> list[IngestResult]:
    """Finish interrupted ingestions whose copy was complete, and drop what was not; leave those under way alone."""
    raw, done = Path(settings.data.raw), []
    with locked("ingestion"):
        for staging in sorted((raw / _INCOMING).glob("*")):
            with _unless_busy(_staging_lock(staging.name)) as free:
                if free and (staging / _JOURNAL).exists():
                    done.append(commit(raw, staging, settings))
                elif free:
                    shutil.rmtree(staging)
    for folder in sorted((raw / _UNPACKED).glob("*")):
        with _unless_busy(folder.name) as free:
            if free:
                shutil.rmtree(folder)
    return done


def is_interrupted(settings: Settings) -> bool:
    """Return whether `recover_interrupted` has anything to do."""
    return any((Path(settings.data.raw) / _INCOMING).glob("*"))


def publish(result: IngestResult, settings: Settings) -> bool:
    """Push the batch's bytes to the DVC remote, and note that in the ledger; False if no remote is configured."""
    if not dvc.has_remote():
        return False
    dvc.push(f"{Path(settings.data.raw) / result.name}.dvc")
    record(Path(settings.ingestion.ledger), _entry(result, "pushed"))
    return True


def unpublished(settings: Settings) -> list[IngestResult]:
    """Return the batches of the ledger that were never pushed, such as for a remote that was out of reach."""
    from sensorproof.ingestion.ledger import not_pushed

    waiting = not_pushed(read_entries(Path(settings.ingestion.ledger)))
    return [
        IngestResult(e.batch, e.source, False, e.frames, e.quarantined, e.size, content=e.content)
        for e in waiting
        if (Path(settings.data.raw) / f"{e.batch}.dvc").exists()
    ]


def _claim(source: Path) -> str:
    """Return the name of the lock on a source; another path to it gives the same."""
    return f"ingest-{source.name[:40]}-{hash_json(str(source.resolve()))[:8]}"


def _staging_lock(name: str) -> str:
    return f"incoming-{name}"


@contextmanager
def _unless_busy(name: str) -> Iterator[bool]:
    """Hold a lock if it is free; yield whether it is. A process that holds it itself finds it busy too."""
    try:
        with locked(name, wait=False):
            yield True
    except BusyError:
        yield False


@contextmanager
def _as_folder(source: Path, target: Path, settings: Settings) -> Iterator[Path]:
    """Yield the batch's folder; an archive is unpacked, and what was unpacked is removed at the end."""
    if not (is_archive(source) and source.is_file()):
        yield source
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        yield unpack(source, target / stem(source), settings.ingestion.archives)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _place(source: Path, folder: Path, review: Review, settings: Settings, move: bool) -> IngestResult:
    """Copy a reviewed batch, and commit it if the raw data still agree with it."""
    raw, name = Path(settings.data.raw), review.batch.name
    verdict, staging = review.verdict, raw / _INCOMING / name
    with _unless_busy(_staging_lock(name)) as free:
        if not free:
            raise SensorproofError(source, f"another batch {name!r} is being ingested", "repeat when that has ended")
        try:
            size = sum((folder / relative).stat().st_size for relative in review.manifest)
            result = IngestResult(
                name,
                str(source.resolve()),
                move,
                verdict.frames,
                verdict.quarantined,
                size,
                tuple(verdict.warnings),
                content=review.content,
                unpacked="" if folder == source else str(folder.resolve()),
            )
            copy_files(folder, staging / "batch", review.manifest)
            with locked("ingestion"):
                if compare(review.batch, review.manifest, settings) != review.others:  # one came in meanwhile
                    compare_content(review.batch, review.manifest, settings)
                write_json(staging / _JOURNAL, asdict(result))
                return commit(raw, staging, settings)
        except OSError as error:
            fault = f"cannot be written ({error.strerror})"
            raise SensorproofError(staging, fault, "make room for the batch, then repeat") from error
        finally:
            if not (staging / _JOURNAL).exists():
                shutil.rmtree(staging, ignore_errors=True)


def commit(raw: Path, staging: Path, settings: Settings) -> IngestResult:
    """Place, version, record and clear the batch of a journal. Each step may have been done before."""
    document = read_json(staging / _JOURNAL)
    result = IngestResult(**{**document, "warnings": tuple(document["warnings"]), "left": ()})
    copy, target = staging / "batch", raw / result.name
    if copy.exists():
        if target.exists():
            raise SensorproofError(target, f"appeared while {copy} was being ingested", "move one of them elsewhere")
        with dvc.writing(target):
            copy.rename(target)
        sync_folder(raw)
    dvc.ensure_repository()
    pointer = dvc.add(target)
    result = _commit_pointer(replace(result, hash=dvc.added_hash(pointer)), pointer, settings)
    record(Path(settings.ingestion.ledger), _entry(result, "ingested"))
    left: list[str] = []
    if result.move and result.unpacked:
        Path(result.source).unlink(missing_ok=True)
    elif result.move:
        left = remove_copied(Path(result.source), target)
    shutil.rmtree(staging)
    return replace(result, left=tuple(left))


def _commit_pointer(result: IngestResult, pointer: Path, settings: Settings) -> IngestResult:
    """Commit the .dvc file if params.yaml says so; what hinders that is a warning, since no data are lost."""
    if not settings.ingestion.commit:
        return result
    try:
        git.commit_files([pointer], f"Add batch {result.name}")
    except SensorproofError as error:
        return replace(result, warnings=(*result.warnings, f"{pointer} is not committed: {error}"))
    return result


def _entry(result: IngestResult, action: str) -> LedgerEntry:
    return LedgerEntry.model_validate(
        {
            "time": now(),
            "action": action,
            "batch": result.name,
            "content": result.content,
            "frames": result.frames,
            "quarantined": result.quarantined,
            "size": result.size,
            "source": result.source,
        }
    )


def _record_rejection(source: Path, action: str, error: RejectedError, settings: Settings) -> None:
    entry = {"time": now(), "action": action, "batch": source.name, "content": "", "source": str(source.resolve())}
    record(Path(settings.ingestion.ledger), LedgerEntry.model_validate({**entry, "reason": str(error)}))


def _is_finished(source: Path, target: Path) -> bool:
    """Return whether a source was moved away, or equals what was ingested."""
    return not source.exists() or source.is_file() or hash_files(source) == hash_files(target)
