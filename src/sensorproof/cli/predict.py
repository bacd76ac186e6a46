"""`sensorproof predict`: label maps for a batch, whichever sensors are there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.data.batch import read_batch


def predict(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    batch: Annotated[Path, typer.Argument(help="folder of the batch")],
    out: Annotated[Path, typer.Argument(help="folder to write the predictions to")],
    without: Annotated[
        list[str] | None, typer.Option(help="leave this sensor out, as if it had failed; may be given again")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="replace predictions that are there already")] = False,
) -> None:
    """Write a label PNG for every frame, from the sensors that it has, and predictions.csv, which names them."""
    frames = read_batch(batch)
    from sensorproof.serving.batches import predict_batch
    from sensorproof.serving.predictor import load_predictor

    with _model_folder(model) as folder:
        predictor = load_predictor(folder, device)
    done = predict_batch(predictor, frames, out, without=without or [], force=force)
    print(f"{out}: {done.predicted} of {done.frames} frames predicted, {done.partial} of them without some sensor")
    if done.broken:
        print(f"{done.broken} frames have files that cannot be used: see the column faults of {out}/predictions.csv")


@contextmanager
def _model_folder(model: str) -> Iterator[Path]:
    """The folder of a model, fetched from the registry where it is named so."""
    if not model.startswith("models:"):
        yield Path(model)
        return
    from sensorproof.adapters.mlflow import connect
    from sensorproof.adapters.mlflow_registry import ModelUri

    address = ModelUri.parse(model)
    with tempfile.TemporaryDirectory() as folder:
        with connect(create=False) as connection:
            found = address.fetch(connection, Path(folder))
        yield found
