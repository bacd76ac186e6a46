"""Review a new batch where it is: compare it with the batches that are there, and validate it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensorproof.adapters import dvc
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.alignment.known_statistics import Measuring
from sensorproof.alignment.measured import measure
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.prepare import read_batches
from sensorproof.errors import BatchError, RejectedError, SensorproofError
from sensorproof.hashing import hash_json
from sensorproof.ingestion.conflicts import check_content, check_frames, check_kind, check_places
from sensorproof.ingestion.content import keep_contents
from sensorproof.ingestion.file_manifest import FileManifest, hash_files
from sensorproof.ingestion.ledger import ingested_as, read_entries
from sensorproof.parallel import Progress
from sensorproof.settings import Settings


class DuplicateError(RejectedError):
    """A batch that was ingested before, byte for byte."""


@dataclass(frozen=True)
class Review:
    """A batch that may be ingested."""

    batch: Batch
    manifest: FileManifest
    verdict: BatchVerdict
    others: tuple[str, ...]
    """The batches that it was compared with."""

    @property
    def content(self) -> str:
        """SHA-256 (hex) of its files' names and bytes."""
        return content_hash(self.manifest)


def content_hash(manifest: FileManifest) -> str:
    """Return the hash by which the ledger knows a batch."""
    return hash_json(manifest)


def review_batch(source: Path, settings: Settings, progress: Progress | None = None) -> Review:
    """Review a batch.

    Args:
        source: its folder. Nothing in it is changed.
        settings: all of params.yaml.
        progress: is told how many shards are measured.

    Raises:
        RejectedError: it is faulty, conflicts with a batch that is there, or its validation refuses it.
    """
    from sensorproof.validation import validate_batch

    raw = Path(settings.data.raw)
    if source.resolve().is_relative_to(raw.resolve()) and ".unpacked" not in source.parts:
        raise RejectedError(source, f"is already in {raw}", f"version it where it is: `dvc add {source}`")
    with _rejecting():
        batch, manifest = read_batch(source), hash_files(source)
    if batch.info.external_files:
        fault = "names files outside of it, which would not be versioned"
        raise RejectedError(source / "batch.yaml", fault, f"import it with --copy, or straight into {raw}")
    others = compare(batch, manifest, settings)
    # Measured once: what the frames show is compared before the validation, which uses the same measures.
    with _rejecting():
        measurements = measure(batch, settings.validation, Measuring(settings.compute.workers, progress), manifest)
        keep_contents(measurements.contents, manifest)
        compare_content(batch, manifest, settings)
        verdict = validate_batch(batch.root, settings, hashes=manifest)
    if verdict.refused:
        raise verdict.refusal()
    return Review(batch, manifest, verdict, others)


def compare(batch: Batch, manifest: FileManifest, settings: Settings) -> tuple[str, ...]:
    """Compare a batch with those that are there, without decoding an image; return their names.

    Raises:
        RejectedError: it conflicts with one.
        DuplicateError: it was ingested before.
    """
    raw = Path(settings.data.raw)
    target = raw / batch.name
    others, manifests = _known(raw)
    if manifests.get(batch.name) == manifest:
        raise DuplicateError(batch.root, f"is already ingested as {target}", "delete this copy")
    if (before := ingested_as(read_entries(Path(settings.ingestion.ledger)), content_hash(manifest))) is not None:
        fault = f"was ingested as {before.batch!r} on {before.time:.10} and has been removed since"
        fix = f"delete this copy, or remove that line from {settings.ingestion.ledger} to ingest it again"
        raise DuplicateError(batch.root, fault, fix)
    if target.exists() or target.with_name(f"{batch.name}.dvc").exists():
        fault = f"there is already a batch {batch.name!r} with other content"
        raise RejectedError(batch.root, fault, "give this one another `name` in batch.yaml")
    check_kind(batch, others, settings.data.split)
    check_frames(batch, manifest, {other.name: (other, manifests[other.name]) for other in others})
    check_places(batch, others, settings.data.split)
    return tuple(manifests)


def compare_content(batch: Batch, manifest: FileManifest, settings: Settings) -> None:
    """Compare what the frames of a batch show with those that are there; see `check_content`."""
    others, manifests = _known(Path(settings.data.raw))
    pairs = {other.name: (other, manifests[other.name]) for other in others if other.name != batch.name}
    check_content(batch, manifest, pairs, settings.compute.workers)


def _known(raw: Path) -> tuple[list[Batch], dict[str, FileManifest]]:
    others = read_batches(raw) if any(raw.glob("*/batch.yaml")) else []
    return others, {other.name: manifest_of(other) for other in others}


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
    except OSError as error:
        where = error.filename or "files"
        raise SensorproofError(
            where, f"cannot be read or written ({error.strerror})", "make room, then repeat"
        ) from error
