"""Ingesting new batches in: compared with those there are, validated, moved into place in one step, versioned."""

from sensorproof.ingestion.transaction import (
    IngestResult,
    ingest_at_once,
    ingest_batch,
    is_interrupted,
    publish,
    recover_interrupted,
    unpublished,
)

__all__ = [
    "IngestResult",
    "ingest_at_once",
    "ingest_batch",
    "is_interrupted",
    "publish",
    "recover_interrupted",
    "unpublished",
]
