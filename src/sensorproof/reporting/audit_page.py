"""Render audit.html: one self-contained page without scripts, which loads nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sensorproof.documents.audit import AuditRecord, CaseScore
from sensorproof.evaluation.noisy_modality import LEVELS
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.reporting.audit_text import how_missing, intervals_of, subsets_scored, verdict, worst_subset
from sensorproof.reporting.environment import environment
from sensorproof.reporting.formatting import number_missing, subset_label
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
        curves=_curve_groups(record),
        severities=_severities(record),
        rmm=_rmm_rows(record),
        intervals=intervals_of(record),
        given=", ".join(f"{name} {p:g}" for name, p in record.failure_probability.items()),
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
        if not broken.failures:
            continue
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
        if broken.noise
    ]


def _severities(record: AuditRecord) -> list[str]:
    """List the severities that were tried."""
    curves = (curve for broken in record.broken.values() for curve in broken.degradations.values())
    return list(next(curves, {}))


def _curve_groups(record: AuditRecord) -> list[_Group]:
    """Make a group of rows for each sensor, a row for each degradation, a cell for each severity."""
    curves = {name: broken.degradations for name, broken in record.broken.items() if broken.degradations}
    low, span = _heat(case.score for own in curves.values() for curve in own.values() for case in curve.values())
    return [
        _Group(
            name,
            [
                _Row(
                    way.replace("_", " "),
                    [_cell(record, case, heat=_place(case.score, low, span)) for case in curve.values()],
                )
                for way, curve in own.items()
            ],
        )
        for name, own in curves.items()
    ]


def _rmm_rows(record: AuditRecord) -> list[_Row]:
    """Make a row for each share of missing values: the mean over the subsets, and the worst."""
    rows = {}
    for share, table in record.rmm.items():
        scores = [case.score for case in table.values() if case.score is not None]
        complete = len(scores) == len(table)
        rows[share] = (sum(scores) / len(scores), min(scores)) if complete else (None, None)
    low, span = _heat(value for pair in rows.values() for value in pair)

    def cell(value: float | None) -> _Cell:
        return _Cell(value, "" if value is not None else "failed", heat=_place(value, low, span))

    return [_Row(share, [cell(value) for value in pair]) for share, pair in rows.items()]


def _failed_cases(record: AuditRecord) -> Iterator[tuple[str, str, str]]:
    """Yield sensor, what was done to it, and why there is no score, of each case without one."""
    for name, broken in record.broken.items():
        ways = {f"{level} noise": case for level, case in broken.noise.items()}
        ways |= {failure_title(kind): case for kind, case in broken.failures.items()}
        ways |= {
            f"{way.replace('_', ' ')}, severity {severity}": case
            for way, curve in broken.degradations.items()
            for severity, case in curve.items()
        }
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
