"""`sensorproof …`: one line per error, a traceback only with --debug."""

import os
from typing import Annotated

import typer

from sensorproof import __version__
from sensorproof.cli import bench, platform, quarantine, registry, search
from sensorproof.cli.adapt import adapt
from sensorproof.cli.audit import audit
from sensorproof.cli.compare import compare
from sensorproof.cli.configure import configure
from sensorproof.cli.drift import drift
from sensorproof.cli.export import export
from sensorproof.cli.figure import figure
from sensorproof.cli.importing import import_data
from sensorproof.cli.ingest import ingest
from sensorproof.cli.predict import predict
from sensorproof.cli.simulate import simulate
from sensorproof.cli.summary import summary
from sensorproof.cli.validate import validate
from sensorproof.console import report_errors

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"sensorproof {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="show tracebacks")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Train multi-sensor segmentation models that keep working when a sensor fails, and prove it."""
    del version
    if debug:
        os.environ["SENSORPROOF_DEBUG"] = "1"


app.command()(simulate)
app.command(name="import")(import_data)
app.command()(validate)
app.command()(ingest)
app.command()(drift)
app.command()(predict)
app.command()(export)
app.command()(adapt)
app.command()(audit)
app.add_typer(registry.app, name="registry")
app.add_typer(platform.app, name="platform")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(search.app, name="search")
app.add_typer(bench.app, name="bench")
app.command()(compare)
app.command()(configure)
app.command()(summary)
app.command()(figure)


@report_errors
def main() -> None:
    """Run the command `sensorproof`."""
    app()
