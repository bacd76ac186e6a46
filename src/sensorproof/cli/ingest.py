"""`sensorproof ingest`: take a new batch in."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import SensorproofError
from sensorproof.progress import Progress
from sensorproof.settings import load_settings


def ingest(
    batch: Annotated[Path, typer.Argument(help="the batch's folder, or an archive of it (.zip, .tar.gz, .tar.zst)")],
    move: Annotated[
        bool, typer.Option("--move", help="remove the folder or archive once its copy is versioned")
    ] = False,
    push: Annotated[bool, typer.Option(help="push it to the DVC remote, where one is configured")] = True,
) -> None:
    """Validate BATCH, copy it to the raw data and version it with DVC; the next `dvc repro` trains on it too.

    Exit code 3: result in, with frames quarantined. 4: refused; nothing has changed.
    """
    from sensorproof.field.follow import describe, follow_field
    from sensorproof.ingestion import ingest_batch, publish

    settings = load_settings()
    result = ingest_batch(batch, settings, move=move, progress=Progress("parts of the batch measured"))
    target = Path(settings.data.raw) / result.name
    size = f"{result.size / 1e6:.1f} MB"
    print(f"{result.name}: {result.frames} frames ({size}) are in {target}, {result.quarantined} quarantined")
    for warning in result.warnings:
        print(f"warning: {warning}")
    for relative in result.left:
        print(f"warning: {Path(result.source) / relative} appeared after the copy and stays there")
    if push and publish(result, settings):
        print("pushed to the DVC remote")
    try:
        followed = follow_field(settings)
    except SensorproofError as error:
        print(f"warning: drift is not recorded yet; repeat with `sensorproof drift`: {error}")
    else:
        for record in followed.new:
            print(describe(record))
        print(followed.decision.describe())
    print(f"commit {target}.dvc and run `make repro` (or `dvc repro`)")
    raise typer.Exit(result.exit_code)
