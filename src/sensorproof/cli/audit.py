"""`sensorproof audit`: how badly does a model, ours or not, depend on one sensor?"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError
from sensorproof.progress import Progress


class Missing(StrEnum):
    """The choices of --missing."""

    AUTO = "auto"
    DROP = "drop"
    ZERO = "zero"
    MEAN = "mean"


class Protocol(StrEnum):
    """The choices of --protocol."""

    NOISE = "noise"
    SILENT = "silent"
    DEGRADATIONS = "degradations"
    RMM = "rmm"


def read_probability(values: list[str]) -> float | dict[str, float] | None:
    """Read 0.1, or camera=0.2 for each sensor.

    Raises:
        UsageError: a value is neither.
    """
    fix = "give one number, or SENSOR=NUMBER for each sensor"
    try:
        if len(values) == 1 and "=" not in values[0]:
            return float(values[0])
        return {name: float(value) for name, value in (each.rsplit("=", 1) for each in values)} or None
    except ValueError as error:
        raise UsageError("--failure-probability", f"cannot be read from {' '.join(values)}", fix) from error


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
    protocol: Annotated[
        list[Protocol] | None, typer.Option(help="what to try besides the subsets; can be repeated; else noise, silent")
    ] = None,
    severity: Annotated[
        list[int] | None, typer.Option(min=1, max=5, help="of the degradations; can be repeated; else 1, 3 and 5")
    ] = None,
    failure_probability: Annotated[
        list[str] | None, typer.Option(help="0.1, or camera=0.2 for each sensor: gives one more expected score")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write the figures to this file as well")] = None,
) -> None:
    """Score a model with every subset of its sensors and with broken ones; write audit.html and the figures."""
    from sensorproof.data.batch import read_batch

    probability, frames = read_probability(failure_probability or []), read_batch(batch)
    from sensorproof.auditing import audit as run_audit
    from sensorproof.auditing.output import PAGE, check_target
    from sensorproof.reporting.audit_text import terminal_lines

    check_target(out)
    progress = Progress("passes")
    try:
        result = run_audit(
            model,
            frames,
            missing=missing.value,
            split=split,
            failures=protocol is None,
            protocols=[each.value for each in protocol or ()],
            severities=severity or (1, 3, 5),
            failure_probability=probability,
            progress=progress,
        )
    finally:
        progress.clear()
    result.write(out)
    if json is not None:
        result.record.write(json)
    print(*terminal_lines(result.record), out / PAGE, sep="\n")
