"""`sensorproof adapt`: a model for a field whose frames look different, without a label."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorproof.progress import Progress

if TYPE_CHECKING:
    from sensorproof.data.metadata import SensorInput


def adapt(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    batch: Annotated[Path, typer.Argument(help="folder of the batch; its labels are not used")],
    out: Annotated[Path, typer.Argument(help="model folder to write; new or empty")],
    sensor: Annotated[
        list[str] | None, typer.Option(help="adapt this sensor alone; may be repeated; else all that the batch has")
    ] = None,
) -> None:
    """Write a copy of the model that standardises its inputs by the statistics of the batch's frames."""
    from sensorproof.data.batch import read_batch

    frames = read_batch(batch)
    from sensorproof.loading import open_model_folder
    from sensorproof.serving.adaptation import adapt_model

    progress = Progress("frames")
    try:
        with open_model_folder(model) as folder:
            before, after = adapt_model(folder, frames, out, sensor or [], progress)
    finally:
        progress.clear()
    assert after.adapted is not None
    for name, number in after.adapted.frames.items():
        print(f"{name}: {number} frames; {_describe(before.sensors[name], after.sensors[name])}")
    print(out)


def _describe(before: "SensorInput", after: "SensorInput") -> str:
    """Say how far the statistics moved, in the standard deviations that the model had."""
    pairs = list(zip(before.mean, before.std, after.mean, after.std, strict=True))
    moved = ", ".join(f"{(mean - own) / std:+.2f}" for own, std, mean, _ in pairs)
    scaled = ", ".join(f"{deviation / std:.2f}" for _, std, _, deviation in pairs)
    return f"mean moved by {moved} standard deviations, deviation times {scaled}"
