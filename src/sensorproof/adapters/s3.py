"""List and fetch what is in a folder of an S3 bucket. Credentials and endpoint are those of boto3 (AWS_...)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.files import confined


@dataclass(frozen=True)
class S3Object:
    """One object; `name` is its key below the folder."""

    key: str
    name: str
    size: int
    """Bytes."""
    etag: str
    changed: float
    """Seconds since the epoch."""


def list_objects(address: str) -> list[S3Object]:
    """Return all objects below an address (`s3://bucket/folder`).

    Raises:
        SensorproofError: the bucket cannot be reached or read.
    """
    bucket, prefix = _split(address)
    with _reporting(address) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            S3Object(
                entry["Key"],
                entry["Key"][len(prefix) :],
                int(entry["Size"]),
                str(entry["ETag"]).strip('"'),
                entry["LastModified"].timestamp(),
            )
            for page in pages
            for entry in page.get("Contents", [])
            if not entry["Key"].endswith("/")
        ]


def fetch(address: str, objects: list[S3Object], target: Path, below: str) -> None:
    """Copy objects into a folder.

    Args:
        address: of the listed folder.
        objects: what to copy.
        target: the folder, or the file for a single object whose name is `below`.
        below: start of the objects' names that does not become part of the path.

    Raises:
        RejectedError: a key is not a path inside the folder.
        SensorproofError: the bucket cannot be reached, or the disk is full.
    """
    bucket, _ = _split(address)
    with _reporting(address) as client:
        for entry in objects:
            relative = entry.name[len(below) :]
            try:
                path = confined(target, relative) if relative else target
            except SensorproofError as error:
                raise RejectedError(address, f"key {entry.key!r:.80} is not a plain path", "rename it") from error
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, entry.key, str(path))
            if path.stat().st_size != entry.size:
                raise RejectedError(
                    address, f"{entry.key!r:.80} changed while it was fetched", "wait until it is whole"
                )


def _split(address: str) -> tuple[str, str]:
    """Return bucket and prefix; the prefix ends with `/` unless it is empty."""
    parts = urlsplit(address)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


@contextmanager
def _reporting(address: str) -> Iterator[Any]:
    """Yield a client; its errors become one line."""
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    retries = Config(retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=10, read_timeout=60)
    try:
        yield boto3.client("s3", config=retries)
    except (BotoCoreError, ClientError, Boto3Error) as error:
        fix = "check the network, ingestion.s3 and the AWS_ variables"
        raise SensorproofError(address, f"cannot be read ({error})", fix) from error
