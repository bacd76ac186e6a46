"""`sensorproof import`: data in another format becomes a batch."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError


def import_data(
    format: Annotated[
        str, typer.Argument(help="the format of SRC: arrays (NPZ, or a folder of NPY), or a public data set")
    ],
    src: Annotated[Path, typer.Argument(help="file or folder to read")],
    out: Annotated[Path, typer.Argument(help="folder to write the batch to; its name is the batch's")],
    mapping: Annotated[Path | None, typer.Option(help="arrays: YAML file that says which array is which")] = None,
    max_gib: Annotated[float, typer.Option(help="arrays: larger ones, unpacked, are refused", min=0)] = 8.0,
    copy: Annotated[bool, typer.Option("--copy", help="data sets: copy the files, instead of naming them")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="data sets: take what is there and sound")] = False,
    workers: Annotated[
        int | None, typer.Option(help="data sets: processes; by default one per processor", min=1)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a batch that is there already")] = False,
) -> None:
    """Write SRC as a batch.

    The data sets are deliver, muses, mcubes, mfnet, fmb and nyudepthv2. docs/reference/data-format.md describes the
    mapping file of arrays; examples/stereo_potholes has one.
    """
    from sensorproof.data.importers import FORMATS, PUBLIC, import_arrays

    name = format.lower()
    if name not in FORMATS:
        raise UsageError(f"format {format!r}", "is not a known format", f"available: {', '.join(FORMATS)}")
    if name in PUBLIC:
        if mapping is not None:
            raise UsageError("--mapping", f"is not for {name}", "leave it out: the data set's layout is known")
        _import_public(name, src, out, copy, partial, workers, force)
        return
    for option, given in (("--copy", copy), ("--partial", partial), ("--workers", workers is not None)):
        if given:
            raise UsageError(option, "is not for arrays", f"leave it out; it is for {', '.join(PUBLIC)}")
    imported = import_arrays(src, out, mapping, int(max_gib * 2**30), force)
    left_out = f", {imported.left_out} left out" if imported.left_out else ""
    print(f"{out}: {imported.frames} frames, {imported.labelled} of them labelled{left_out}")


def _import_public(
    name: str, src: Path, out: Path, copy: bool, partial: bool, workers: int | None, force: bool
) -> None:
    """Import a public data set, with progress."""
    from sensorproof.data.importers import PUBLIC, import_public
    from sensorproof.parallel import count_workers
    from sensorproof.progress import Progress

    progress = Progress("frames")
    try:
        summary = import_public(
            PUBLIC[name],
            src,
            out,
            copy=copy,
            partial=partial,
            workers=workers or count_workers(0),
            force=force,
            report=progress,
        )
    finally:
        progress.clear()
    print("\n".join(summary.lines(out)))
