"""`sensorproof figure`: draw what a run came to, for a README or a slide."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError


def figure(
    summary: Annotated[Path, typer.Argument(help="a summary.json or evaluation.json")],
    out: Annotated[Path, typer.Argument(help="the PNG to write")],
) -> None:
    """Draw the score of every subset, baseline against candidate, and the gain with its interval."""
    if out.suffix.lower() != ".png":
        raise UsageError(out, "is not a .png file", "give a name that ends in .png")
    from sensorproof.documents import Evaluation, Summary
    from sensorproof.files import read_json
    from sensorproof.reporting.figure import draw_figure

    document = read_json(summary)
    kind = Summary if isinstance(document, dict) and "promotion" in document else Evaluation
    draw_figure(kind.parse(document, summary), out)
    print(out)
