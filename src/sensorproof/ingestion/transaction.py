"""Ingest one batch as a transaction: a killed process leaves the raw data as they were, or the next call finishes it.

1. reviewed    compared with the batches that are there, and validated, in its own folder
2. copied      to <raw>/.incoming/<name>/batch, and checked against the hashes of what was reviewed
3. journaled   <raw>/.incoming/<name>/journal.json: without it the copy is dropped, with it the rest is done
4. placed      renamed to <raw>/<name> while no DVC stage reads there
5. versioned   `dvc add`
6. cleared     the source removed if it was to be moved; the journal removed
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
from sensorproof.ingestion.conflicts import check_content, check_frames, check_kind, check_places
from sensorproof.ingestion.file_manifest import FileManifest, copy_files, hash_files, remove_copied
from sensorproof.locks import locked
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.alignment.decision.verdict import BatchVerdict

_INCOMING = ".incoming"
"""Folder in raw for copies that are not in place yet; .dvcignore hides it from DVC."""
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

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 3 if frames were quarantined."""
        return EXIT_QUARANTINED if self.quarantined else 0


def ingest_batch(source: Path, settings: Settings, *, move: bool = False) -> IngestResult:
    """Validate a batch, copy it to the raw data in one step, and version it with DVC. Run it in the project.

    An interrupted ingestion is finished first; if it was of this batch, its result is returned.

    Args:
        source: the batch's folder. Its bytes are never altered.
        settings: all of params.yaml.
        move: remove the source once its copy is versioned.

    Raises:
        RejectedError: the batch is faulty, its validation refuses it, or it conflicts with a batch that is there.
        SensorproofError: it could not be copied or versioned.
    """
    raw = Path(settings.data.raw)
    with locked("ingestion"):
        for result in _recover(raw):
            if result.source == str(source.resolve()) and _is_finished(source, raw / result.name):
                return result
        return _ingest_new(source, settings, raw, move)


def recover_interrupted(settings: Settings) -> list[IngestResult]:
    """Finish interrupted ingestions whose copy was complete, and drop copies that were not."""
    with locked("ingestion"):
        return _recover(Path(settings.data.raw))


def is_interrupted(settings: Settings) -> bool:
    """Return whether `recover_interrupted` has anything to do."""
    return any((Path(settings.data.raw) / _INCOMING).glob("*"))


def publish(result: IngestResult, settings: Settings) -> bool:
    """Push the batch's bytes to the DVC remote; False if none is configured."""
    if not dvc.has_remote():
        return False
    dvc.push(f"{Path(settings.data.raw) / result.name}.dvc")
    return True


def _ingest_new(source: Path, settings: Settings, raw: Path, move: bool) -> IngestResult:
    if source.resolve().is_relative_to(raw.resolve()):
        raise RejectedError(source, f"is already in {raw}", f"version it where it is: `dvc add {source}`")
    with _rejecting():
        batch, manifest = read_batch(source), hash_files(source)
    if batch.info.external_files:
        fault = "names files outside of it, which would not be versioned"
        raise RejectedError(source / "batch.yaml", fault, f"import it with --copy, or straight into {raw}")
    verdict = _review_batch(batch, manifest, settings, raw)
    size = sum((source / relative).stat().st_size for relative in manifest)
    result = IngestResult(
        batch.name, str(source.resolve()), move, verdict.frames, verdict.quarantined, size, tuple(verdict.warnings)
    )
    staging = raw / _INCOMING / batch.name
    try:
        copy_files(source, staging / "batch", manifest)
        write_json(staging / _JOURNAL, asdict(result))
    except OSError as error:
        raise SensorproofError(staging, f"cannot be written ({error.strerror})", "make room for the batch") from error
    finally:
        if not (staging / _JOURNAL).exists():
            shutil.rmtree(staging, ignore_errors=True)
    return commit(raw, staging)


def _review_batch(batch: Batch, manifest: FileManifest, settings: Settings, raw: Path) -> "BatchVerdict":
    """Compare a batch with those that are there, then validate it; raise RejectedError with the reasons."""
    from sensorproof.validation import validate_batch

    target = raw / batch.name
    others = read_batches(raw) if any(raw.glob("*/batch.yaml")) else []
    manifests = {other.name: manifest_of(other) for other in others}
    if manifests.get(batch.name) == manifest:
        raise RejectedError(batch.root, f"is already ingested as {target}", "delete this copy")
    if target.exists() or target.with_name(f"{batch.name}.dvc").exists():
        fault = f"there is already a batch {batch.name!r} with other content"
        raise RejectedError(batch.root, fault, "give this one another `name` in batch.yaml")
    check_kind(batch, others)
    check_frames(batch, manifest, {other.name: (other, manifests[other.name]) for other in others})
    check_places(batch, others, settings.data.split)
    check_content(batch, manifest, {other.name: (other, manifests[other.name]) for other in others})
    with _rejecting():
        verdict = validate_batch(batch.root, settings)
    if verdict.refused:
        raise verdict.refusal()
    return verdict


def manifest_of(batch: Batch) -> FileManifest:
    """Return the hashes of a batch that is there; if it is versioned, from DVC, without reading its files."""
    pointer = batch.root.with_name(f"{batch.root.name}.dvc")
    return (dvc.added_files(pointer) if pointer.exists() else None) or hash_files(batch.root)


@contextmanager
def _rejecting() -> Iterator[None]:
    """Turn a BatchError into a RejectedError."""
    try:
        yield
    except BatchError as error:
        raise RejectedError(error.where, error.fault, error.fix) from error


def _recover(raw: Path) -> list[IngestResult]:
    """Finish what has a journal and drop copies without one. The caller holds the lock."""
    done = []
    for staging in sorted((raw / _INCOMING).glob("*")):
        if (staging / _JOURNAL).exists():
            done.append(commit(raw, staging))
        else:
            shutil.rmtree(staging)
    return done


def commit(raw: Path, staging: Path) -> IngestResult:
    """Place, version and clear the batch of a journal. Each step may have been done before."""
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
    left = remove_copied(Path(result.source), target) if result.move else []
    shutil.rmtree(staging)
    return replace(result, hash=dvc.added_hash(pointer), left=tuple(left))


def _is_finished(source: Path, target: Path) -> bool:
    """Return whether a source was moved away, or equals what was ingested."""
    return not source.exists() or hash_files(source) == hash_files(target)
