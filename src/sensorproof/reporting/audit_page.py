"""Render audit.html: one self-contained page without scripts, which loads nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sensorproof.documents.audit import AuditRecord, CaseScore
from sensorproof.evaluation.noisy_modality import LEVELS
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.reporting.audit_text import how_missing, subsets_scored, verdict, worst_subset
from sensorproof.reporting.formatting import number_missing, subset_label
from sensorproof.reporting.html_report import environment
from sensorproof.reporting.palette import class_colors
from sensorproof.reporting.silent_table import failure_title
from sensorproof.reporting.tables import conditions


@dataclass(frozen=True)
class _Cell:
    """A score in points, or why there is none."""

    score: float | None
    reason: str = ""
    loss: float | None = None
    """Below the score with all sensors."""
    beyond: float | None = None
    """Below the score of the same sensor declared absent."""
    heat: float = 0.0
    """Place between the lowest (0) and the highest (1) score of the table."""


@dataclass(frozen=True)
class _Row:
    label: str
    cells: list[_Cell]
    present: tuple[bool, ...] = ()


@dataclass(frozen=True)
class _Group:
    title: str
    rows: list[_Row]
    absent: _Cell | None = None


@dataclass(frozen=True)
class _ClassRow:
    name: str
    color: str
    support: int
    share: float
    cells: list[_Cell]


def render_audit(record: AuditRecord) -> str:
    """Return the page."""
    template = environment().get_template("audit.html")
    return template.render(
        record=record,
        verdict=verdict(record),
        how_missing=how_missing(record),
        subsets_scored=subsets_scored(record),
        worst_subset=worst_subset(record),
        groups=_subset_groups(record),
        silent=_silent_groups(record),
        noise=_noise_rows(record),
        levels=list(LEVELS),
        broken_failed=list(_failed_cases(record)),
        conditions=list(conditions(record.sensors)),
        classes=_class_rows(record),
    )


def _cell(record: AuditRecord, case: CaseScore, absent: CaseScore | None = None, heat: float = 0.0) -> _Cell:
    known = absent is not None and absent.score is not None and case.score is not None
    beyond = absent.score - case.score if known else None  # type: ignore[union-attr, operator]
    return _Cell(case.score, case.reason, record.loss(case.score), beyond, heat)


def _heat(values: Iterable[float | None]) -> tuple[float, float]:
    """Return the lowest score and the span of a table."""
    known = [value for value in values if value is not None]
    low = min(known, default=0.0)
    return low, max(known, default=0.0) - low


def _place(value: float | None, low: float, span: float) -> float:
    return 0.0 if value is None or span <= 0 else (value - low) / span


def _subset_groups(record: AuditRecord) -> list[_Group]:
    """Group the subsets by the number of missing sensors; the best come first, those without a score last."""
    low, span = _heat(case.score for case in record.subsets.values())
    groups = []
    for missing in range(len(record.sensors)):
        rows = []
        for subset in all_subsets(record.sensors):
            if len(record.sensors) - len(subset) == missing:
                case = record.subsets[subset_name(subset)]
                cell = _cell(record, case, heat=_place(case.score, low, span))
                present = tuple(name in subset for name in record.sensors)
                rows.append(_Row(subset_label(subset, record.sensors), [cell], present))
        rows.sort(key=lambda row: -1.0 if row.cells[0].score is None else row.cells[0].score, reverse=True)
        groups.append(_Group(number_missing(missing), rows))
    return groups


def _silent_groups(record: AuditRecord) -> list[_Group]:
    """Make a group of rows for each sensor, a row for each failure."""
    groups = []
    for name, broken in record.broken.items():
        absent = record.absent(name)
        rows = [_Row(failure_title(kind), [_cell(record, case, absent)]) for kind, case in broken.failures.items()]
        groups.append(_Group(name, rows, None if absent is None else _cell(record, absent)))
    return groups


def _noise_rows(record: AuditRecord) -> list[_Row]:
    """Make a row for each sensor, a cell for each level."""
    low, span = _heat(case.score for broken in record.broken.values() for case in broken.noise.values())
    return [
        _Row(name, [_cell(record, case, heat=_place(case.score, low, span)) for case in broken.noise.values()])
        for name, broken in record.broken.items()
    ]


def _failed_cases(record: AuditRecord) -> Iterator[tuple[str, str, str]]:
    """Yield sensor, what was done to it, and why there is no score, of each case without one."""
    for name, broken in record.broken.items():
        ways = {f"{level} noise": case for level, case in broken.noise.items()}
        ways |= {failure_title(kind): case for kind, case in broken.failures.items()}
        yield from ((name, way, case.reason) for way, case in ways.items() if case.score is None)


def _class_rows(record: AuditRecord) -> list[_ClassRow]:
    """Make a row for each class: its IoU with all sensors and with each single one missing."""
    subsets = [subset_name(subset) for subset in conditions(record.sensors).values()]
    values = {
        (name, subset): record.per_class.get(subset, {}).get(name) for name in record.support for subset in subsets
    }
    low, span = _heat(values.values())
    total = sum(record.support.values())
    return [
        _ClassRow(
            name,
            color,
            pixels,
            pixels / total if total else 0.0,
            [_Cell(values[name, subset], heat=_place(values[name, subset], low, span)) for subset in subsets],
        )
        for (name, pixels), color in zip(record.support.items(), class_colors(list(record.support)), strict=True)
    ]
