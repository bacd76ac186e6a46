"""`sensorproof quarantine …`: list the frames in quarantine with the reasons, and release some."""

from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from sensorproof.errors import UsageError
from sensorproof.locks import locked
from sensorproof.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Frames that failed validation: list them, or release some.")


@app.command("list")
def list_frames(
    batch: Annotated[str | None, typer.Argument(help="only of this batch")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="every entry of the ledger, not only those in force")
    ] = False,
) -> None:
    """List the frames in quarantine."""
    from sensorproof.data import quarantine

    entries = quarantine.read_ledger(Path(load_settings().data.quarantine))
    shown = [e for e in entries if batch in (None, e.batch)] if history else quarantine.standing(entries, batch)
    for e in shown:
        numbers = f" ({e.measure} {e.value}, limit {e.threshold})" if e.value else ""
        who = f", by {e.by}" if e.by else ""
        print(f"{e.time}  {e.action:<11}  {e.batch}  {e.frame_id}  {e.reason}{numbers}{who}")
    frames = len({(e.batch, e.frame_id) for e in shown if e.frame_id})
    print(f"{len(shown)} entries on {frames} frames")


@app.command()
def release(
    batch: Annotated[str, typer.Argument(help="name of the batch")],
    frames: Annotated[list[str] | None, typer.Argument(help="ids of the frames")] = None,
    all_frames: Annotated[bool, typer.Option("--all", help="all quarantined frames of the batch")] = False,
    reason: Annotated[str, typer.Option(help="why; it is recorded")] = "",
    sensor: Annotated[str, typer.Option(help="only what was found in this sensor")] = "",
    measure: Annotated[str, typer.Option(help="only what this measure found")] = "",
    by: Annotated[str | None, typer.Option(help="who decides; by default the user's name")] = None,
) -> None:
    """Release frames from the next validation on. A new fault quarantines them again."""
    if bool(frames) == all_frames:
        raise UsageError("frames", "are given twice" if frames else "are missing", "name frames, or give --all")
    if not reason.strip():
        raise UsageError("--reason", "is missing", "say why the frames may be used")
    from sensorproof.data import quarantine

    folder = Path(load_settings().data.quarantine)
    with locked(quarantine.LOCK):
        entries = quarantine.read_ledger(folder)
        added = quarantine.release(entries, batch, frames or [], sensor, measure, reason, by or getuser())
        quarantine.append(folder, added)
    print(f"{batch}: {len({e.frame_id for e in added})} frames released; `dvc repro` trains on them")
