"""`sensorproof search …`: further workers for a search that is under way."""

from functools import partial
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Help a search that is under way.")


@app.callback()
def group() -> None:
    """Help a search that is under way; the stage `search` starts it."""


@app.command()
def worker(
    storage: Annotated[str | None, typer.Option(help="database of the search; else search.storage")] = None,
    study: Annotated[str | None, typer.Option(help="study to join; else the newest that is not finished")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="threads of this worker; else all processors")] = None,
    grace: Annotated[float, typer.Option(min=1.0, help="seconds after which a silent worker counts as dead")] = 30.0,
) -> None:
    """Train trials of a search until it is done; the data and the settings are those of its first process."""
    import torch

    from sensorproof.adapters.optuna import Source, join_search
    from sensorproof.adapters.optuna_worker import Pace
    from sensorproof.settings import load_settings

    if threads is not None:
        torch.set_num_threads(threads)
    settings = load_settings()
    pace = Pace(beat=min(Pace.beat, grace / 4), grace=grace)
    join_search(
        Source.of_project(storage or settings.search.storage), settings, study, partial(print, flush=True), pace
    )
