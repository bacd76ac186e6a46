"""`sensorproof predict`: label maps for a batch, from whichever sensors are there."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.data.batch import read_batch


def predict(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    batch: Annotated[Path, typer.Argument(help="folder of the batch")],
    out: Annotated[Path, typer.Argument(help="folder to write the predictions to")],
    without: Annotated[
        list[str] | None, typer.Option(help="leave this sensor out, as if it had failed; may be repeated")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="replace predictions that are there already")] = False,
) -> None:
    """Write a label PNG for every frame, and predictions.csv, which names the sensors that were used."""
    frames = read_batch(batch)
    from sensorproof.loading import load_model
    from sensorproof.serving.batches import predict_batch

    done = predict_batch(load_model(model, device), frames, out, without=without or [], force=force)
    print(f"{out}: {done.predicted} of {done.frames} frames predicted, {done.partial} of them without some sensor")
    if done.broken:
        print(f"{done.broken} frames have files that cannot be used: see the column faults of {out}/predictions.csv")
