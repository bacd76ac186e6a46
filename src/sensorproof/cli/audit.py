"""`sensorproof audit`: how badly does a model, ours or not, depend on one sensor?"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.cli.progress import Progress


class Missing(StrEnum):
    """The choices of --missing."""

    AUTO = "auto"
    DROP = "drop"
    ZERO = "zero"
    MEAN = "mean"


def audit(
    model: Annotated[
        str, typer.Argument(help="a model folder, models:/NAME/1, an MLflow model, x.onnx, module:callable")
    ],
    batch: Annotated[Path, typer.Argument(help="folder of a batch with labels")],
    out: Annotated[Path, typer.Argument(help="folder to write the report to")],
    missing: Annotated[
        Missing, typer.Option(help="leave a missing sensor out, or give zeros or its mean; auto: out if that works")
    ] = Missing.AUTO,
    split: Annotated[str | None, typer.Option(help="only frames of this split in frames.csv")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write the figures to this file as well")] = None,
) -> None:
    """Score a model with every subset of its sensors and with broken ones; write audit.html and the figures."""
    from sensorproof.data.batch import read_batch

    frames = read_batch(batch)
    from sensorproof.auditing import audit as run_audit
    from sensorproof.auditing.output import PAGE, check_target
    from sensorproof.reporting.audit_text import terminal_lines

    check_target(out)
    progress = Progress("passes")
    try:
        result = run_audit(model, frames, missing=missing.value, split=split, failures=True, progress=progress)
    finally:
        progress.clear()
    result.write(out)
    if json is not None:
        result.record.write(json)
    print(*terminal_lines(result.record), out / PAGE, sep="\n")
