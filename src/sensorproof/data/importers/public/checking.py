"""Check one frame of a public data set: read it as the batch will, and say what is missing or faulty."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.frame_table import LABEL, SEPARATOR, SOURCE
from sensorproof.data.importers.arrays import save
from sensorproof.data.importers.public.layout import FoundFrame, Layout
from sensorproof.data.source_files import SourceFile
from sensorproof.errors import SensorproofError
from sensorproof.files import confined
from sensorproof.hashing import hash_file
from sensorproof.settings.strict_model import StrictModel


class Problem(StrictModel):
    """One file that is missing or faulty."""

    frame_id: str
    part: str
    """The sensor, or `label`."""
    file: str
    """Relative to the data set."""
    fault: str
    missing: bool = False


class CheckedFrame(StrictModel):
    """What the check of one frame gave: its cells of frames.csv and its problems."""

    frame_id: str
    key: str
    """Of the frame and its files, so that a result of an earlier import is used only for the same."""
    cells: dict[str, str]
    """{sensor: cell of frames.csv}, of the sensors whose files are sound."""
    label: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    files: tuple[tuple[str, int, str], ...] = ()
    """Of each file that is referred to: path, bytes, SHA-256."""


@dataclass(frozen=True)
class Checker:
    """Checks frames; picklable, as frames are shared among processes."""

    layout: Layout
    """Its frames may be left out."""
    root: Path
    """The data set's folder."""
    batch: Path
    """The folder that becomes the batch."""
    copy: bool
    """Whether files are copied into the batch."""

    def __call__(self, frame: FoundFrame, key: str) -> CheckedFrame:
        """Check a frame, and write what the batch has of it by itself: projections, and copies if asked."""
        problems: list[Problem] = []
        cells: dict[str, str] = {}
        files: list[SourceFile] = []
        for part, paths in {**frame.files, LABEL: (frame.label,) if frame.label else ()}.items():
            gone = [path for path in paths if not (self.root / path).is_file()]
            problems += [
                Problem(frame_id=frame.frame_id, part=part, file=p, fault="is missing", missing=True) for p in gone
            ]
            if gone or not paths:
                continue
            try:
                cells[part] = self._cell(frame, part, paths)
            except SensorproofError as error:
                problems.append(Problem(frame_id=frame.frame_id, part=part, file=paths[0], fault=error.fault))
                continue
            if not self.copy:
                files += [_describe(self.root, path) for path in paths]
        faults, warnings = self._read(frame, cells)
        return CheckedFrame(
            frame_id=frame.frame_id,
            key=key,
            cells={part: cell for part, cell in cells.items() if part != LABEL and part not in faults},
            label="" if LABEL in faults else cells.get(LABEL, ""),
            problems=(*problems, *faults.values()),
            warnings=tuple(warnings),
            files=tuple(tuple(file) for file in files),  # type: ignore[misc]  # as many as a SourceFile has
        )

    def _cell(self, frame: FoundFrame, part: str, paths: tuple[str, ...]) -> str:
        """Return the cell of frames.csv that names a part's files, in the batch or in the data set."""
        if part in frame.raw:
            image = self.layout.projections[part](confined(self.root, paths[0]))
            (self.batch / part).mkdir(exist_ok=True)
            return save(self.batch, f"{part}/{frame.frame_id}", image)
        for path in paths:
            confined(self.root, path)
            if self.copy:
                (self.batch / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.root / path, self.batch / path)
        return SEPARATOR.join(path if self.copy else f"{SOURCE}{path}" for path in paths)

    def _read(self, frame: FoundFrame, cells: dict[str, str]) -> tuple[dict[str, Problem], list[Problem]]:
        """Read a frame as a batch does; return {part: its fault} and the warnings."""
        info = self.layout.info
        row = {name: cells.get(name, "") for name in (*info.sensors, LABEL)}
        batch = Batch(
            self.batch, info, pd.DataFrame([{"frame_id": frame.frame_id, **row}]), None if self.copy else self.root
        )
        decoded, findings = load_frame(batch, 0)
        faults, warnings = {}, []
        paths = {**{part: paths[0] for part, paths in frame.files.items()}, LABEL: frame.label}
        for finding in findings:
            if not finding.sensor:  # no sensor is left, for reasons that are listed
                continue
            problem = Problem(
                frame_id=frame.frame_id, part=finding.sensor, file=paths[finding.sensor], fault=finding.fault
            )
            if finding.severity == "critical":
                faults[finding.sensor] = problem
            else:
                warnings.append(problem)
        reference = decoded.images.get(info.reference)
        for name, image in decoded.images.items():
            if reference is not None and image.shape[1:] != reference.shape[1:]:
                sizes = [f"{each.shape[1]} x {each.shape[2]}" for each in (image, reference)]
                fault = f"is {sizes[0]}, the {info.reference}'s image {sizes[1]}"
                faults[name] = Problem(frame_id=frame.frame_id, part=name, file=paths[name], fault=fault)
        return faults, warnings


def _describe(root: Path, path: str) -> SourceFile:
    return SourceFile(path, (root / path).stat().st_size, hash_file(root / path))
