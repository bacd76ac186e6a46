"""`sensorproof import`: other people's data -> a batch."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError


def import_data(
    format: Annotated[str, typer.Argument(help="what SRC is: arrays (NPZ, or a folder of NPY)")],
    src: Annotated[Path, typer.Argument(help="file or folder to read")],
    out: Annotated[Path, typer.Argument(help="folder to write the batch to; its name is the batch's")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file that says which array is which sensor")] = None,
    max_gib: Annotated[float, typer.Option(help="arrays that are larger, unpacked, are refused unread", min=0)] = 8.0,
    force: Annotated[bool, typer.Option("--force", help="replace a batch that is there already")] = False,
) -> None:
    """Write SRC as a batch. docs/data-format.md has the mapping file and examples/stereo_potholes uses one."""
    from sensorproof.data.importers import FORMATS, PLANNED

    importer = FORMATS.get(format.lower())
    if importer is None:
        fault = "cannot be imported yet" if format.lower() in PLANNED else "is no format"
        raise UsageError(f"format {format!r}", fault, f"available: {', '.join(sorted(FORMATS))}")
    done = importer(src, out, mapping, int(max_gib * 2**30), force)
    left = f", {done.left_out} left out" if done.left_out else ""
    print(f"{out}: {done.frames} frames, {done.labelled} of them labelled{left}")
