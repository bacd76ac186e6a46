"""Find conflicts of a new batch with those that are there: another kind, the same frames, other splits."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import SPLITS
from sensorproof.data.prepare import common_info
from sensorproof.data.splits import assign_splits
from sensorproof.errors import BatchError, RejectedError
from sensorproof.ingestion.content import frame_contents
from sensorproof.ingestion.file_manifest import FileManifest
from sensorproof.settings import SplitSettings

_RENAME = "make ids unique over all batches, such as with the batch's name in front"


def check_kind(batch: Batch, others: Sequence[Batch], settings: SplitSettings) -> None:
    """Refuse other classes, another reference, another sensor of the same name, or a new one that cannot be learnt.

    A sensor that no split but one would have would stop the pipeline for all batches.
    """
    try:
        common_info([*others, batch])
    except BatchError as error:
        raise RejectedError(error.where, error.fault, error.fix) from error
    known = {name for other in others for name in other.sensors}
    for name in sorted(set(batch.sensors) - known) if others else []:
        split = assign_splits([*others, batch], settings)[-1]
        shown = set(split[(batch.frames[name] != "") & (batch.frames.label != "")])
        if missing := [each for each in SPLITS if each not in shown]:
            fault = f"sensor {name!r} is in no other batch, and here in no labelled frame for {', '.join(missing)}"
            fix = f"the sensors there are {', '.join(sorted(known))}: rename it, or give frames of at least three sites"
            raise RejectedError(batch.root / "batch.yaml", fault, fix)


def check_frames(batch: Batch, manifest: FileManifest, others: Mapping[str, tuple[Batch, FileManifest]]) -> None:
    """Refuse a batch that is one of `others` under another name, or that shares frames with it, by id or by bytes.

    A frame is the same by bytes if all its sensors' files are; a single blank image is no proof.
    """
    table = batch.root / "frames.csv"
    mine = _frame_bytes(batch, manifest)
    for name, (other, other_manifest) in sorted(others.items()):
        theirs = _frame_bytes(other, other_manifest)
        same = [frame for content, frame in mine.items() if content in theirs]
        if same and len(same) == len(mine):
            fault = f"is batch {name!r} again: all its frames are there byte for byte"
            raise RejectedError(batch.root, fault, "delete this copy, or ingest only the new frames")
        if same:
            fault = f"{len(same)} frames are in batch {name!r} byte for byte, such as {same[0]!r}"
            raise RejectedError(table, fault, "leave them out")
        shared = sorted(set(batch.frames.frame_id) & set(other.frames.frame_id))
        if shared:
            raise RejectedError(
                table, f"frame_id {shared[0]!r} is in batch {name!r} too ({len(shared)} in all)", _RENAME
            )


def check_content(
    batch: Batch, manifest: FileManifest, others: Mapping[str, tuple[Batch, FileManifest]], workers: int = 1
) -> None:
    """Refuse a batch with frames that show, pixel for pixel, what frames of another batch show.

    Names, ids, sites, dates and compressions do not matter: copies would be assigned to splits of their own, and a
    model would be tested on what it was trained on.
    """
    mine = frame_contents(batch, manifest, workers=workers)
    for name, (other, other_manifest) in sorted(others.items()):
        theirs = frame_contents(other, other_manifest, workers=workers)
        if same := [content for content in mine if content in theirs]:
            pair = f"{mine[same[0]]!r} and {theirs[same[0]]!r}"
            fault = f"{len(same)} of {len(batch.frames)} frames show the same as batch {name!r}, such as {pair}"
            raise RejectedError(batch.root / "frames.csv", fault, "leave them out: they are the same recording")


def _frame_bytes(batch: Batch, manifest: FileManifest) -> dict[tuple[tuple[str, str], ...], str]:
    """Return {hashes of a frame's sensor files by sensor: frame id}, for frames with at least two sensors."""
    sensors = sorted(batch.sensors)
    found: dict[tuple[tuple[str, str], ...], str] = {}
    for frame_id, *files in batch.frames[["frame_id", *sensors]].itertuples(index=False):
        content = tuple((s, manifest.get(f, f)) for s, f in zip(sensors, files, strict=True) if f)
        if len(content) >= 2:
            found.setdefault(content, str(frame_id))
    return found


def check_places(batch: Batch, others: Sequence[Batch], settings: SplitSettings) -> None:
    """Refuse a batch that would move frames from one split to another, or train at a place that tests.

    A site may come again: its frames follow those that are there. It clashes where a `split` column says
    otherwise, and where older recordings of it would take the lead. Only labelled frames count.
    """
    if not others:
        return
    table = batch.root / "frames.csv"
    before = assign_splits(others, settings)
    after = assign_splits([*others, batch], settings)
    for other, old, new in zip(others, before, after[:-1], strict=True):
        if (moved := (old != new) & (other.frames.label != "")).any():
            row = int(np.argmax(moved))
            site, was, would = other.frames.site.iloc[row], old.iloc[row], new.iloc[row]
            fault = f"is older than batch {other.name!r} and would move its site {site!r} from {was} to {would}"
            raise RejectedError(table, fault, f"give it a split column that says {was} for that site")
    places = pd.concat([_places_of(other, split) for other, split in zip(others, before, strict=True)])
    mine = _places_of(batch, after[-1])
    for columns in (["site"], ["site", "sequence"]):
        known = places.groupby(columns)["split"].agg(["nunique", "first"])
        there = known.loc[known["nunique"] == 1, "first"].rename("there")
        joined = mine.join(there, on=columns)
        clash = joined[joined.there.notna() & (joined.there != joined["split"])]
        if len(clash):
            first = clash.iloc[0]
            place = " of ".join(f"{column} {first[column]!r}" for column in reversed(columns))
            fault = f"{place} is for {first['split']}, but for {first.there} in the batches that are there"
            raise RejectedError(table, fault, f"say {first.there} in its split column, or give the place another name")


def _places_of(batch: Batch, split: pd.Series) -> pd.DataFrame:
    """Where each labelled frame was taken, and its split."""
    table = batch.frames[["site", "sequence"]].assign(split=split)
    return table[batch.frames.label != ""]
