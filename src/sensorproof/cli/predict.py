"""`sensorproof predict`: label maps for a batch, from whichever sensors are there."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.progress import Progress


class Monitoring(StrEnum):
    """The choices of --monitor."""

    AUTO = "auto"
    REPORT = "report"
    OFF = "off"


def predict(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    batch: Annotated[Path, typer.Argument(help="folder of the batch")],
    out: Annotated[Path, typer.Argument(help="folder to write the predictions to")],
    without: Annotated[
        list[str] | None, typer.Option(help="leave this sensor out, as if it had failed; may be repeated")
    ] = None,
    monitor: Annotated[
        Monitoring, typer.Option(help="leave failing sensors out, only report them, or do not look for them")
    ] = Monitoring.AUTO,
    shard: Annotated[str, typer.Option(metavar="I/N", help="predict only the I-th of N stretches of frames")] = "1/1",
    own_size: Annotated[
        bool, typer.Option("--own-size", help="give the model each frame at its own size, not at that of its training")
    ] = False,
    window: Annotated[
        tuple[int, int] | None,
        typer.Option(min=1, metavar="H W", help="the same, in windows that slide over the frame"),
    ] = None,
    overlap: Annotated[float, typer.Option(help="share of a window's side that neighbours have in common")] = 0.25,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="replace predictions that are there already")] = False,
) -> None:
    """Write labels, confidence and an overlay for every frame, and predictions.csv; go on if it was interrupted."""
    from sensorproof.data.batch import read_batch
    from sensorproof.serving.shards import Shard

    share = Shard.parse(shard)
    from sensorproof.models.windows import Windows

    windows = Windows(window, overlap) if window else None
    frames = read_batch(batch)
    from sensorproof.loading import load_model
    from sensorproof.serving.batches import predict_batch

    progress = Progress("frames")
    try:
        done = predict_batch(
            load_model(model, device),
            frames,
            out,
            without=without or [],
            monitor=monitor.value,
            force=force,
            shard=share,
            own_size=windows or own_size,
            progress=progress,
        )
    finally:
        progress.clear()
    if done.failing:
        print(f"{done.failing} frames have a failing sensor: see the column failing of {out}/predictions.csv")
    part = f", shard {share}" if share.count > 1 else ""
    print(
        f"{out}{part}: {done.predicted} of {done.frames} frames predicted, {done.partial} of them without some sensor"
    )
    if done.broken:
        print(f"{done.broken} frames have files that cannot be used: see the column faults of {out}/predictions.csv")
    if done.waiting:
        print(f"{out}/predictions.csv is written when these shards are done: {', '.join(map(str, done.waiting))}")
