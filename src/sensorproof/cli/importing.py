"""`sensorproof import`: data in another format becomes a batch."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError


def import_data(
    format: Annotated[str, typer.Argument(help="the format of SRC: arrays (NPZ, or a folder of NPY)")],
    src: Annotated[Path, typer.Argument(help="file or folder to read")],
    out: Annotated[Path, typer.Argument(help="folder to write the batch to; its name is the batch's")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file that says which array is which sensor")] = None,
    max_gib: Annotated[float, typer.Option(help="larger arrays, unpacked, are refused", min=0)] = 8.0,
    force: Annotated[bool, typer.Option("--force", help="replace a batch that is there already")] = False,
) -> None:
    """Write SRC as a batch.

    docs/reference/data-format.md describes the mapping file; examples/stereo_potholes has one.
    """
    from sensorproof.data.importers import FORMATS, PLANNED

    importer = FORMATS.get(format.lower())
    if importer is None:
        fault = "cannot be imported yet" if format.lower() in PLANNED else "is not a known format"
        raise UsageError(f"format {format!r}", fault, f"available: {', '.join(sorted(FORMATS))}")
    imported = importer(src, out, mapping, int(max_gib * 2**30), force)
    left_out = f", {imported.left_out} left out" if imported.left_out else ""
    print(f"{out}: {imported.frames} frames, {imported.labelled} of them labelled{left_out}")
