"""Taking one batch in. Until its copy is whole and judged, nothing has happened; from then on it is finished.

judged      compared with the batches that are there, and validated, where it lies
copied      to <raw>/.incoming/<name>/batch, checked against the hashes of what was judged
noted       <raw>/.incoming/<name>/journal.json: from here on a cut leads forward, before it back
placed      renamed to <raw>/<name> while no DVC stage reads there
versioned   `dvc add`
cleared     the source removed if it was to be moved; the journal removed
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sensorproof.adapters import dvc
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.prepare import read_batches
from sensorproof.errors import EXIT_QUARANTINED, BatchError, RejectedError, SensorproofError
from sensorproof.files import read_json, sync_folder, write_json
from sensorproof.ingestion.conflicts import check_frames, check_kind, check_places
from sensorproof.ingestion.file_manifest import FileManifest, copy_files, hash_files, remove_copied
from sensorproof.locks import locked
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.alignment.decision.verdict import BatchVerdict

_INCOMING = ".incoming"
"""Folder in raw for copies on their way in; .dvcignore keeps DVC's eyes off it."""
_JOURNAL = "journal.json"


@dataclass(frozen=True)
class IngestResult:
    """A batch that has been taken in. `source` is where it came from, `hash` DVC's for the folder (`<md5>.dir`)."""

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
    """Files that were to be moved but came or changed after the copy, and stay where they are."""

    @property
    def exit_code(self) -> int:
        return EXIT_QUARANTINED if self.quarantined else 0


def ingest_batch(source: Path, settings: Settings, *, move: bool = False) -> IngestResult:
    """Validate a batch, copy it to the raw data in one step, and version it with DVC. Run it in the project.

    What an earlier call was cut short in is finished first; if that was this very batch, the result is that one.

    Args:
        source: the batch's folder. Its bytes are never altered.
        settings: all of params.yaml.
        move: remove the source once its copy is versioned.

    Raises:
        Refused: the batch is faulty, was refused by its validation, or clashes with a batch that is there.
        SensorproofError: it could not be copied or versioned.
    """
    raw = Path(settings.data.raw)
    with locked("ingestion"):
        for taken in _recover(raw):
            if taken.source == str(source.resolve()) and _is_finished(source, raw / taken.name):
                return taken
        return _take_new(source, settings, raw, move)


def recover_interrupted(settings: Settings) -> list[IngestResult]:
    """Finish what was cut short after its copy was whole, and drop copies that were not."""
    with locked("ingestion"):
        return _recover(Path(settings.data.raw))


def is_interrupted(settings: Settings) -> bool:
    """True if finish_interrupted would have something to do."""
    return any((Path(settings.data.raw) / _INCOMING).glob("*"))


def publish(taken: IngestResult, settings: Settings) -> bool:
    """Push the batch's bytes to the DVC remote; False if none is configured."""
    if not dvc.has_remote():
        return False
    dvc.push(f"{Path(settings.data.raw) / taken.name}.dvc")
    return True


def _take_new(source: Path, settings: Settings, raw: Path, move: bool) -> IngestResult:
    if source.resolve().is_relative_to(raw.resolve()):
        raise RejectedError(source, f"lies in {raw} already", f"version it where it is: `dvc add {source}`")
    with _refusing():
        batch, listing = read_batch(source), hash_files(source)
    verdict = _review_batch(batch, listing, settings, raw)
    size = sum((source / relative).stat().st_size for relative in listing)
    taken = IngestResult(
        batch.name, str(source.resolve()), move, verdict.frames, verdict.quarantined, size, tuple(verdict.warnings)
    )
    staging = raw / _INCOMING / batch.name
    try:
        copy_files(source, staging / "batch", listing)
        write_json(staging / _JOURNAL, asdict(taken))
    except OSError as error:
        raise SensorproofError(staging, f"cannot be written ({error.strerror})", "make room for the batch") from error
    finally:
        if not (staging / _JOURNAL).exists():
            shutil.rmtree(staging, ignore_errors=True)
    return commit(raw, staging)


def _review_batch(batch: Batch, listing: FileManifest, settings: Settings, raw: Path) -> "BatchVerdict":
    """Compare a batch with those that are there, then validate it; raise Refused with the reasons."""
    from sensorproof.validation import validate_batch

    target = raw / batch.name
    others = read_batches(raw) if any(raw.glob("*/batch.yaml")) else []
    listings = {other.name: manifest_of(other) for other in others}
    if listings.get(batch.name) == listing:
        raise RejectedError(batch.root, f"has been taken in already, as {target}", "remove it")
    if target.exists() or target.with_name(f"{batch.name}.dvc").exists():
        fault = f"a batch called {batch.name!r} is there already, with other content"
        raise RejectedError(batch.root, fault, "give this one another `name` in batch.yaml")
    check_kind(batch, others)
    check_frames(batch, listing, {other.name: (other, listings[other.name]) for other in others})
    check_places(batch, others, settings.data.split)
    with _refusing():
        verdict = validate_batch(batch.root, settings)
    if verdict.refused:
        raise verdict.refusal()
    return verdict


def manifest_of(batch: Batch) -> FileManifest:
    """The hashes of a batch that is there: DVC's where it is versioned, which costs no reading."""
    pointer = batch.root.with_name(f"{batch.root.name}.dvc")
    return (dvc.added_files(pointer) if pointer.exists() else None) or hash_files(batch.root)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn a batch's faults into its refusal."""
    try:
        yield
    except BatchError as error:
        raise RejectedError(error.where, error.fault, error.fix) from error


def _recover(raw: Path) -> list[IngestResult]:
    """Go on where a journal was left; drop copies without one. The lock is held."""
    done = []
    for staging in sorted((raw / _INCOMING).glob("*")):
        if (staging / _JOURNAL).exists():
            done.append(commit(raw, staging))
        else:
            shutil.rmtree(staging)
    return done


def commit(raw: Path, staging: Path) -> IngestResult:
    """Place, version and clear what a journal speaks of. Each step may have been done before."""
    document = read_json(staging / _JOURNAL)
    taken = IngestResult(**{**document, "warnings": tuple(document["warnings"]), "left": ()})
    copy, target = staging / "batch", raw / taken.name
    if copy.exists():
        if target.exists():
            raise SensorproofError(target, f"has appeared while {copy} was on its way", "move one of them elsewhere")
        with dvc.writing(target):
            copy.rename(target)
        sync_folder(raw)
    dvc.ensure_repository()
    pointer = dvc.add(target)
    left = remove_copied(Path(taken.source), target) if taken.move else []
    shutil.rmtree(staging)
    return replace(taken, hash=dvc.added_hash(pointer), left=tuple(left))


def _is_finished(source: Path, target: Path) -> bool:
    """True if a source was moved away, or is what was taken in."""
    return not source.exists() or hash_files(source) == hash_files(target)
