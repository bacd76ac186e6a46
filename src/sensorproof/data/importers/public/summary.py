"""What an import found, in a few lines and as import.json; and the reasons for which it stops."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from sensorproof.data.frame_table import LABEL, SPLITS
from sensorproof.data.importers.public.checking import CheckedFrame, Problem
from sensorproof.data.importers.public.layout import FoundFrame, Layout
from sensorproof.errors import RejectedError
from sensorproof.files import write_text
from sensorproof.settings.strict_model import StrictModel

_NOUNS = {"train": "training", "val": "validation", "test": "test"}
PROBLEMS = "problems.csv"


class ImportSummary(StrictModel):
    """The content of import.json."""

    format: str
    source: str
    copied: bool
    frames: dict[str, int]
    """By split."""
    official: dict[str, int]
    """By split, as the authors count."""
    labelled: int
    conditions: dict[str, int]
    tags: dict[str, dict[str, int]]
    """{tag: {value: frames}}, without the frames that have none."""
    missing: dict[str, int]
    """{sensor or label: files that are missing}."""
    faulty: dict[str, int]
    """{sensor or label: files that cannot be used}."""
    warnings: dict[str, int]
    """{sensor: files that are odd, though usable}."""
    left_out: int
    """Frames without any usable sensor."""

    def lines(self, out: Path) -> list[str]:
        """Describe the import for the user."""
        splits = ", ".join(f"{number} {split}" for split, number in self.frames.items() if number)
        place = "copied" if self.copied else f"the files stay in {self.source}"
        lines = [f"{out}: {sum(self.frames.values())} frames ({splits}), {self.labelled} of them labelled; {place}"]
        for word, counts in (("missing", self.missing), ("faulty", self.faulty), ("odd", self.warnings)):
            if counts:
                listed = ", ".join(f"{number} {_plural(part, number)}" for part, number in counts.items())
                lines.append(f"{word}: {listed} (listed in {PROBLEMS})")
        if self.left_out:
            lines.append(f"left out: {self.left_out} frames without any usable sensor")
        return lines


def summarize(
    layout: Layout, results: Sequence[tuple[FoundFrame, CheckedFrame]], source: Path, copied: bool, left_out: int
) -> ImportSummary:
    """Count what an import wrote.

    Args:
        layout: the data set.
        results: the frames that are in the batch.
        source: the data set's folder.
        copied: whether the batch has copies of the files.
        left_out: frames that are not in the batch.
    """
    frames = [frame for frame, _ in results]
    problems = [problem for _, checked in results for problem in checked.problems]
    return ImportSummary(
        format=layout.info.name,
        source=str(source),
        copied=copied,
        frames={split: sum(frame.split == split for frame in frames) for split in SPLITS},
        official={split: layout.official.get(split, 0) for split in SPLITS},
        labelled=sum(bool(checked.label) for _, checked in results),
        conditions=_count(frame.condition for frame in frames),
        tags={tag: _count(frame.tags.get(tag, "") for frame in frames) for tag in layout.info.tags},
        missing=_count(problem.part for problem in problems if problem.missing),
        faulty=_count(problem.part for problem in problems if not problem.missing),
        warnings=_count(warning.part for _, checked in results for warning in checked.warnings),
        left_out=left_out,
    )


def find_missing(layout: Layout, root: Path) -> list[Problem]:
    """List the files that the layout names and that are not there, without reading any."""
    return [
        Problem(frame_id=frame.frame_id, part=part, file=path, fault="is missing", missing=True)
        for frame in layout.frames
        for part, paths in {**frame.files, LABEL: (frame.label,) if frame.label else ()}.items()
        for path in paths
        if not (root / path).is_file()
    ]


def refuse_incomplete(layout: Layout, root: Path, problems: Sequence[Problem], listing: Path) -> None:
    """Stop if frames or files are missing or faulty; write the list of all of them.

    Args:
        layout: the data set.
        root: its folder.
        problems: what is missing or faulty.
        listing: the file to list them in.

    Raises:
        RejectedError: there is anything; the one line counts it by part, and names an example of each.
    """
    reasons = []
    for split, number in layout.official.items():
        there = sum(frame.split == split for frame in layout.frames)
        if there < number:
            reasons.append(f"{there} of {number} {_NOUNS[split]} frames are there")
    reasons += [*_describe(problems, missing=True), *_describe(problems, missing=False)]
    if not reasons:
        return
    where = ""
    if problems:
        write_problems(listing, problems)
        where = f" (all in {listing})"
    fix = f"get what is missing from {layout.page}, or take what is there and sound with --partial"
    raise RejectedError(root, f"is not the whole of {layout.title}: {'; '.join(reasons)}{where}", fix)


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write a table of problems: frame_id, part, file, fault."""
    rows = [problem.model_dump(exclude={"missing"}) for problem in problems]
    table = pd.DataFrame(rows, columns=["frame_id", "part", "file", "fault"])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _describe(problems: Sequence[Problem], missing: bool) -> list[str]:
    """Return a phrase for each part that has problems: `3 lidar files are missing, such as …`."""
    phrases = []
    chosen = [problem for problem in problems if problem.missing == missing]
    for part, number in _count(problem.part for problem in chosen).items():
        example = next(problem for problem in chosen if problem.part == part)
        verb = "is" if number == 1 else "are"
        kind = "missing" if missing else "faulty"
        what = example.file if missing else f"{example.file} {example.fault}"
        phrases.append(f"{number} {_plural(part, number)} {verb} {kind}, such as {what}")
    return phrases


def _plural(part: str, number: int) -> str:
    if part == LABEL:
        return "label" if number == 1 else "labels"
    return f"{part} file" if number == 1 else f"{part} files"


def _count(values: Iterable[str]) -> dict[str, int]:
    """Count values that are not empty, in the order in which they come up."""
    counts: Mapping[str, int] = Counter(value for value in values if value)
    return dict(counts)
