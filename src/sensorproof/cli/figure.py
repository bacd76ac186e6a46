"""`sensorproof figure`: draw what a run came to, for a README or a slide."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError
from sensorproof.files import read_json


def figure(
    summary: Annotated[Path, typer.Argument(help="a summary.json or evaluation.json")],
    out: Annotated[Path, typer.Argument(help="the PNG to write")],
) -> None:
    """Draw the score of every subset, baseline against candidate, and the gain with its interval."""
    if out.suffix.lower() != ".png":
        raise UsageError(out, "is not a .png file", "give a name that ends in .png")
    document = read_json(summary)
    from sensorproof.reporting.figure import draw_figure

    draw_figure(document, out)
    print(out)
