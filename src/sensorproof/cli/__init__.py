"""`sensorproof …`: one line per error, a traceback only with --debug."""

import os
from typing import Annotated

import typer

from sensorproof.cli.configure import configure
from sensorproof.cli.errors import reported
from sensorproof.cli.simulate import simulate
from sensorproof.cli.summary import summary

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def options(debug: Annotated[bool, typer.Option(help="show tracebacks")] = False) -> None:
    """Train multi-sensor segmentation models that keep working when a sensor fails, and prove it."""
    if debug:
        os.environ["SENSORPROOF_DEBUG"] = "1"


app.command()(simulate)
app.command()(configure)
app.command()(summary)


@reported
def main() -> None:
    """Entry point."""
    app()
