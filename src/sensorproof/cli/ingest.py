"""`sensorproof ingest`: take a new batch in."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.settings import load_settings


def ingest(
    batch: Annotated[Path, typer.Argument(help="the batch's folder, wherever it lies")],
    move: Annotated[bool, typer.Option("--move", help="remove the folder once its copy is versioned")] = False,
    push: Annotated[bool, typer.Option(help="push it to the DVC remote, where one is configured")] = True,
) -> None:
    """Validate BATCH, copy it to the raw data and version it with DVC; the next `dvc repro` trains on it too.

    Exit code 3: taken in, with frames quarantined. 4: refused; nothing has changed.
    """
    from sensorproof.ingestion import ingest_batch, publish

    settings = load_settings()
    taken = ingest_batch(batch, settings, move=move)
    target = Path(settings.data.raw) / taken.name
    print(f"{taken.name}: {taken.frames} frames ({taken.size / 1e6:.1f} MB) are in {target}, {taken.quarantined} aside")
    for warning in taken.warnings:
        print(f"warning: {warning}")
    for relative in taken.left:
        print(f"warning: {Path(taken.source) / relative} came after the copy and stays where it is")
    if push and publish(taken, settings):
        print("pushed to the DVC remote")
    print(f"commit {target}.dvc and run `make repro` (or `dvc repro`)")
    raise typer.Exit(taken.exit_code)
