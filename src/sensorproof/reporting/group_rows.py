"""The rows of the page's table of sites and conditions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sensorproof.documents.comparison import Comparison
from sensorproof.documents.evaluation import ArmSummary
from sensorproof.documents.statistic import Statistic
from sensorproof.reporting.formatting import span
from sensorproof.reporting.language import _


@dataclass(frozen=True)
class GroupRow:
    """One site or condition: its mean over the subsets in each arm, and the candidate's gain over the baseline."""

    name: str
    frames: int
    small: bool
    """Too few frames to judge by."""
    scores: list[Statistic | None]
    gain: float | None
    ends: str


@dataclass(frozen=True)
class GroupTable:
    """All sites, or all conditions; the largest come first."""

    title: str
    rows: list[GroupRow]


def group_tables(
    arms: Mapping[str, ArmSummary], pair: Sequence[str], comparison: Comparison | None
) -> list[GroupTable]:
    """Make the tables; none where an arm of the pair has no scores by group."""
    known = [arms[name].groups for name in pair]
    if not pair or any(own is None for own in known):
        return []
    titles = {"sites": _("sites"), "conditions": _("conditions")}
    return [GroupTable(title, list(_rows(arms, pair, comparison, kind))) for kind, title in titles.items()]


def _rows(
    arms: Mapping[str, ArmSummary], pair: Sequence[str], comparison: Comparison | None, kind: str
) -> Iterator[GroupRow]:
    tables = [getattr(arms[name].groups, kind) for name in pair]
    gains = {} if comparison is None or len(pair) < 2 else getattr(comparison, kind).gains
    for name, own in sorted(tables[0].items(), key=lambda entry: (-entry[1].frames, entry[0])):
        gain = gains.get(name)
        ends = span(*gain.interval) if gain is not None and gain.interval[0] is not None else ""
        scores = [table[name].mean if name in table else None for table in tables]
        yield GroupRow(name, own.frames, own.small, scores, None if gain is None else gain.value, ends)
