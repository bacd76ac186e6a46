"""`sensorproof …`: one line per error, a traceback only with --debug."""

import os
from typing import Annotated

import typer

from sensorproof.cli import bench, quarantine, registry
from sensorproof.cli.compare import compare
from sensorproof.cli.configure import configure
from sensorproof.cli.errors import report_errors
from sensorproof.cli.figure import figure
from sensorproof.cli.importing import import_data
from sensorproof.cli.ingest import ingest
from sensorproof.cli.predict import predict
from sensorproof.cli.simulate import simulate
from sensorproof.cli.summary import summary
from sensorproof.cli.validate import validate

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def options(debug: Annotated[bool, typer.Option(help="show tracebacks")] = False) -> None:
    """Train multi-sensor segmentation models that keep working when a sensor fails, and prove it."""
    if debug:
        os.environ["SENSORPROOF_DEBUG"] = "1"


app.command()(simulate)
app.command(name="import")(import_data)
app.command()(validate)
app.command()(ingest)
app.command()(predict)
app.add_typer(registry.app, name="registry")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(bench.app, name="bench")
app.command()(compare)
app.command()(configure)
app.command()(summary)
app.command()(figure)


@report_errors
def main() -> None:
    """Entry point."""
    app()
