"""`sensorproof simulate`: generate a batch of embedded data."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Argument(help="folder to write the batch to")],
    size: Annotated[tuple[int, int], typer.Option(help="height and width of the images in pixels")] = (128, 160),
    sites: Annotated[int, typer.Option(help="number of places")] = 16,
    sequences: Annotated[int, typer.Option(help="drives at each place, by day and night, in fog and rain")] = 4,
    frames: Annotated[int, typer.Option(help="frames in each drive")] = 6,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 0,
    site_offset: Annotated[int, typer.Option(help="number of the first site; other numbers are other places")] = 0,
    name: Annotated[str | None, typer.Option(help="the batch's name; by default the folder's")] = None,
    failures: Annotated[float, typer.Option(help="share of frames in which a sensor fails or is missing")] = 0.1,
    workers: Annotated[int | None, typer.Option(help="processes; by default one per processor", min=1)] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a batch that is there already")] = False,
) -> None:
    """Simulate drives through procedural streets, seen by camera, thermal, depth and LiDAR."""
    from sensorproof.data.simulator import SimulationConfig, simulate_batch
    from sensorproof.parallel import count_workers

    config = SimulationConfig(name or out.resolve().name, size, sites, sequences, frames, seed, site_offset, failures)
    simulate_batch(out, config, workers or count_workers(0), force)
    print(f"{out}: {sites * sequences * frames} frames of {sites * sequences} drives at {sites} sites")
