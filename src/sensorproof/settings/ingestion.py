"""The section `ingestion`: where new batches come from, and what is accepted."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from sensorproof.settings.strict_model import StrictModel


class ArchiveLimits(StrictModel):
    """What an archive may unpack to."""

    max_files: PositiveInt
    max_gib: PositiveFloat
    max_ratio: Annotated[float, Field(ge=1)]
    """Size unpacked over size packed."""


class IngestionSettings(StrictModel):
    """How new batches are found and ingested."""

    s3: Annotated[str, Field(pattern=r"^s3://[^/]+(/.*)?$")] | None
    """Address of a folder in a bucket; each folder or archive in it is a batch. None for none."""
    ledger: str
    """File with a line for each batch that was ingested, recognised as a duplicate, or pushed."""
    history: str
    """File with a line for each ingested batch: its drift, and the champion's answers to it."""
    commit: bool
    """Whether to commit the .dvc file of a new batch to git."""
    max_hours: PositiveFloat
    """After so long the ingestion of a batch is ended, so that a stuck one does not block the others."""
    archives: ArchiveLimits
