"""`sensorproof platform …`: MLflow, Prefect with a worker, and the Optuna dashboard on this machine."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.artifacts import STUDIES

app = typer.Typer(no_args_is_help=True, help="Run the servers of the project on this machine.")


@app.command()
def up(
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="port of MLflow")] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="port of Prefect")] = 4200,
    optuna_port: Annotated[int, typer.Option(min=1, max=65535, help="port of the Optuna dashboard")] = 8080,
) -> None:
    """Start MLflow, Prefect, a worker with all deployments, and the Optuna dashboard; print their addresses."""
    from sensorproof.adapters import supervisor
    from sensorproof.adapters.optuna import Source
    from sensorproof.settings import load_settings

    began, here = time.monotonic(), Path.cwd()
    storage = Source.of_project(load_settings().search.storage).storage
    if storage is None:
        STUDIES.parent.mkdir(parents=True, exist_ok=True)
        STUDIES.touch()
    studies = storage or str(STUDIES)
    started = supervisor.start(here, supervisor.Ports(mlflow_port, prefect_port, optuna_port), studies)
    print(f"ready after {time.monotonic() - began:.0f} s" if started else "already running")
    for name, address in supervisor.read_ports(here).addresses.items():
        print(f"  {name:<8} {address}")
    print(f"  logs     {supervisor.LOGS}{os.sep}")


@app.command()
def down() -> None:
    """End all of it."""
    from sensorproof.adapters import supervisor

    print("ended" if supervisor.stop(Path.cwd()) else "nothing runs")


@app.command()
def status() -> None:
    """List the programs and their states."""
    from sensorproof.adapters import supervisor

    services = supervisor.services(Path.cwd())
    for each in services:
        print(f"{each.name:<8} {each.state.lower()}")
    if not services:
        print("nothing runs")
