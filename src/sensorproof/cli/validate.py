"""`sensorproof validate`: check whether a batch may be used for training, and without which frames."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.artifacts import CHECKS
from sensorproof.progress import Progress
from sensorproof.settings import load_settings


def validate(
    batch: Annotated[Path, typer.Argument(help="folder of the batch")],
    json: Annotated[Path | None, typer.Option(help="write the verdict to this file as well")] = None,
) -> None:
    """Check the alignment of the sensors and quarantine faulty frames. Exit code 3: some were; 4: refused."""
    from sensorproof.data.batch import read_batch
    from sensorproof.validation import PAGE, validate_batch

    settings = load_settings()
    described = read_batch(batch)
    out = CHECKS / described.name
    verdict = validate_batch(batch, settings, out, progress=Progress("parts of the batch measured"))
    if json is not None:
        verdict.record().write(json)
    print("\n".join(verdict.lines()))
    print(f"look at {out / PAGE}")
    if verdict.refused:
        raise verdict.refusal()
    raise typer.Exit(verdict.exit_code)
