"""Import a public data set: find its frames, check them in parallel, write a batch that refers to its files."""

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sensorproof.data.batch import NAME_PATTERN, check_free, source_pointer, write_batch
from sensorproof.data.frame_table import SEPARATOR, SOURCE
from sensorproof.data.importers.public.checking import CheckedFrame, Checker
from sensorproof.data.importers.public.layout import FoundFrame, Layout
from sensorproof.data.importers.public.ledger import Ledger, frame_key, staging_folder
from sensorproof.data.importers.public.summary import (
    PROBLEMS,
    ImportSummary,
    find_missing,
    refuse_incomplete,
    summarize,
    write_problems,
)
from sensorproof.data.source_files import TABLE, SourceFile, write_source_files
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import publish_folder, write_json, write_text
from sensorproof.parallel import map_in_order

Report = Callable[[int, int], None]
"""(frames done, frames in all)."""
_SUMMARY = "import.json"
_OWN = {"batch.yaml", "frames.csv", TABLE, _SUMMARY, PROBLEMS}


def import_public(
    describe: Callable[[Path], Layout],
    source: Path,
    out: Path,
    *,
    copy: bool = False,
    partial: bool = False,
    workers: int = 1,
    force: bool = False,
    report: Report = lambda done, total: None,
) -> ImportSummary:
    """Write a data set as a batch, whole or not at all. If it is interrupted, the next call goes on.

    Args:
        describe: the importer: reads the layout of a folder.
        source: the data set's folder.
        out: the batch's folder; its name becomes the batch's name.
        copy: copy the files into the batch instead of referring to them.
        partial: import what is there and sound; without it, anything missing or faulty stops the import.
        workers: processes to share the frames among.
        force: replace a batch that is there already.
        report: is told the progress.

    Raises:
        UsageError: the folder is not the data set's, or `out` is in use.
        BatchError: a list or a description of the data set cannot be read.
        RejectedError: something is missing or faulty, and `partial` is False.
        BusyError: another process imports to the same batch.
    """
    if not re.fullmatch(NAME_PATTERN, out.resolve().name):
        raise UsageError(out, "its name cannot be the name of a batch", "use letters, digits, - and _, at most 64")
    check_free(out, force)
    root = source.resolve()
    layout = describe(source)
    if out.resolve().is_relative_to(root):
        raise UsageError(out, f"is inside of {source}", "write the batch elsewhere: the data set stays as it is")
    _check_ids(layout, source)
    listing = out.parent / f"{out.name}.{PROBLEMS}"
    if not partial:
        refuse_incomplete(layout, source, find_missing(layout, root), listing)
    with staging_folder(out) as folder:
        checked = _check_all(Checker(replace(layout, frames=()), root, folder, copy), layout.frames, workers, report)
        problems = [problem for result in checked for problem in result.problems]
        if not partial:
            refuse_incomplete(layout, source, problems, listing)
        listing.unlink(missing_ok=True)
        results = [pair for pair in zip(layout.frames, checked, strict=True) if pair[1].cells]
        if not results:
            raise BatchError(root, "has no frame with a usable sensor", f"get {layout.title} from {layout.page}")
        summary = summarize(layout, results, root, copy, len(checked) - len(results))
        _write(folder, layout, results, copy, out.resolve().name)
        warnings = [warning for result in checked for warning in result.warnings]
        if problems or warnings:
            write_problems(folder / PROBLEMS, [*problems, *warnings])
        # Without the place of the data set: the batch is the same wherever that lies.
        write_json(folder / _SUMMARY, summary.model_dump(mode="json", exclude={"source"}))
        _remove_others(folder, [result for _, result in results])
        if copy:
            source_pointer(out).unlink(missing_ok=True)
        else:
            write_text(source_pointer(out), f"{root}\n")
        publish_folder(folder, out)
    return summary


def _check_ids(layout: Layout, root: Path) -> None:
    """Check that there are frames, and that no two of them share an id, in file systems that do not tell A from a."""
    if not layout.frames:
        raise BatchError(root, f"has no frame of {layout.title}", f"get it from {layout.page}")
    known: set[str] = set()
    for frame in layout.frames:
        if frame.frame_id.lower() in known:
            raise BatchError(root, f"two frames would have the id {frame.frame_id!r}", f"get it from {layout.page}")
        known.add(frame.frame_id.lower())


def _check_all(checker: Checker, frames: Sequence[FoundFrame], workers: int, report: Report) -> list[CheckedFrame]:
    """Check all frames that an earlier run has not checked, and note each result at once."""
    keys = [frame_key(checker.layout, frame, checker.root, checker.copy) for frame in frames]
    with Ledger(checker.batch) as ledger:
        waiting = [
            (frame, key)
            for frame, key in zip(frames, keys, strict=True)
            if ledger.get(frame, key, checker.batch) is None or (checker.copy and not _copied(ledger, frame, checker))
        ]
        done = len(frames) - len(waiting)
        report(done, len(frames))
        results = map_in_order(partial(_check, checker), waiting, workers)
        for number, result in enumerate(results, start=done + 1):
            ledger.add(result)
            report(number, len(frames))
        return ledger.results(frames)


def _copied(ledger: Ledger, frame: FoundFrame, checker: Checker) -> bool:
    """Return whether the copies of an earlier run are there."""
    checked = ledger.known[frame.frame_id]
    return all((checker.batch / path).is_file() for path in _own_files(checked))


def _check(checker: Checker, task: tuple[FoundFrame, str]) -> CheckedFrame:
    return checker(*task)


def _write(
    folder: Path,
    layout: Layout,
    results: Sequence[tuple[FoundFrame, CheckedFrame]],
    copy: bool,
    name: str,
) -> None:
    """Write batch.yaml, frames.csv and, where files are referred to, files.csv."""
    rows = []
    for frame, checked in results:
        row: dict[str, object] = {"frame_id": frame.frame_id, "sequence": frame.sequence, "site": frame.site}
        row |= {"condition": frame.condition, **{tag: frame.tags.get(tag, "") for tag in layout.info.tags}}
        row |= {"split": frame.split, "label": checked.label}
        for sensor in layout.info.sensors:
            cell = checked.cells.get(sensor, "")
            row |= {sensor: cell, f"{sensor}_time": frame.time_s if cell else np.nan}
        rows.append(row)
    write_batch(folder, layout.info.model_copy(update={"name": name, "external_files": not copy}), pd.DataFrame(rows))
    if not copy:
        write_source_files(folder, (SourceFile(*file) for _, checked in results for file in checked.files))


def _own_files(checked: CheckedFrame) -> list[str]:
    """Return the files of a frame that lie in the batch."""
    cells = [*checked.cells.values(), checked.label]
    paths = [path for cell in cells if cell for path in cell.split(SEPARATOR)]
    return [path for path in paths if not path.startswith(SOURCE)]


def _remove_others(folder: Path, results: Sequence[CheckedFrame]) -> None:
    """Remove what is no part of the batch: the ledger, the lock, and what earlier runs wrote."""
    kept = _OWN | {path for checked in results for path in _own_files(checked)}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            with suppress(OSError):  # it still holds files of the batch
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in kept:
            path.unlink()
    shutil.rmtree(folder / ".dvc", ignore_errors=True)
