"""Broken rules -> what becomes of the frames and of the batch. Nothing is measured, written or moved here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.decision.rules import Rule
from sensorproof.alignment.drift import Drift
from sensorproof.alignment.pairs.rig import MIN_FRAMES, Rig, State
from sensorproof.data.quarantine import is_unusable
from sensorproof.errors import EXIT_QUARANTINED, EXIT_REFUSED, RejectedError
from sensorproof.settings import ContentChecks, ValidationSettings

FAULT_COLUMNS = ["batch", "frame_id", "sensor", "measure", "value", "threshold", "reason"]
CONTENT = ("deviation_px", "corner_deviation_px", "sequence_deviation_px", "swapped")
"""Measures of frames that say that the images do not lie on each other."""
_WORSE = 1.5
"""Factor beyond which a fault is another than the one that was released, by its distance from the threshold."""
SHOWN = 5
"""Reasons that the one line of a refusal names; the verdict has all of them."""


@dataclass(frozen=True)
class _PairVerdict:
    """What the images of a whole batch say of one sensor against the reference."""

    sensor: str
    state: State
    reason: str
    frames: int
    """Frames that have both images."""
    measured: int
    """Frames that are measurable by themselves."""
    corner_px: float | None
    """How far the sensor is off at the worst corner, in all frames alike; None where unmeasurable."""

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "sensor"}


@dataclass(frozen=True)
class BatchVerdict:
    """What becomes of a batch."""

    batch: str
    suite: str
    frames: int
    quarantined: int
    """Frames set aside."""
    released: int
    """Frames at fault that a person has released."""
    all_faults: pd.DataFrame
    """Those of released frames as well, told apart by the column `released`."""
    reasons: tuple[str, ...]
    """Why the batch is refused; empty where it is not."""
    warnings: tuple[str, ...]
    pairs: tuple[_PairVerdict, ...]
    drift: Drift | None
    """How far the batch lies from the training data; None where there is none to compare with."""

    @property
    def faults(self) -> pd.DataFrame:
        """Why frames are set aside: a line for every frame, sensor and measure at fault, with FAULT_COLUMNS."""
        return self.all_faults.loc[~self.all_faults.released, FAULT_COLUMNS].reset_index(drop=True)

    @property
    def refused(self) -> bool:
        return bool(self.reasons)

    @property
    def exit_code(self) -> int:
        if self.refused:
            return EXIT_REFUSED
        return EXIT_QUARANTINED if self.quarantined else 0

    def refusal(self) -> RejectedError:
        """The error of a refused batch: one line with the reasons."""
        more = len(self.reasons) - SHOWN
        text = "; ".join(self.reasons[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return RejectedError(
            self.batch, f"is refused: {text}", "mend the rig, its clocks or the files (docs/alignment.md)"
        )

    def lines(self) -> list[str]:
        """The verdict for a person at a terminal."""
        found = [f"{self.batch}: {self.frames} frames, {self.quarantined} set aside, {self.released} released"]
        found += [f"  {pair.sensor}: {pair.state} ({pair.reason})" for pair in self.pairs]
        for _, part in self.faults.groupby(["sensor", "measure"], sort=False):
            same = part.reason.nunique() == 1
            more = f" ({len(part)} frames)" if same else f", and {len(part) - 1} more like it"
            found.append(f"  set aside: {part.reason.iloc[0]}" + (more if len(part) > 1 else ""))
        found += [f"  warning: {warning}" for warning in self.warnings]
        found += [f"  drift: {self.drift.reason}"] if self.drift and not self.drift.drifted else []
        found += [f"  refused: {reason}" for reason in self.reasons]
        return found

    def to_json(self) -> dict[str, Any]:
        """The same data give the same text: there is no time in it."""
        return {
            "batch": self.batch,
            "suite": self.suite,
            "decision": "refused" if self.refused else "accepted",
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "frames": {"total": self.frames, "quarantined": self.quarantined, "released": self.released},
            "pairs": {pair.sensor: pair.to_json() for pair in self.pairs},
            "by_measure": {str(k): int(v) for k, v in self.faults.measure.value_counts().sort_index().items()},
            "drift": None if self.drift is None else self.drift.to_json(),
        }


@dataclass(frozen=True)
class BatchFindings:
    """`faults` has FAULT_COLUMNS and `released`; the others are lines for people."""

    faults: pd.DataFrame
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def decide(
    table: pd.DataFrame,
    rules: Sequence[Rule],
    broken: pd.DataFrame,
    released: Mapping[tuple[str, str, str], tuple[float, float]],
    drift: Drift | None,
    settings: ValidationSettings,
) -> BatchFindings:
    """Faults of frames, reasons to refuse the batch, and warnings.

    Args:
        table: a row per frame and sensor.
        broken: columns rule (number in `rules`) and row (label in `table`).
        released: {(frame id, sensor, measure): (value, threshold)} of faults that a person has let pass.
    """
    faults: list[pd.DataFrame] = []
    reasons: list[str] = []
    warnings: list[str] = []
    refused: set[tuple[str, str]] = set()
    # Critical rules first: what is refused need not be warned of.
    for number in sorted(broken.rule.unique(), key=lambda k: (rules[k].severity != "critical", k)):
        rule = rules[number]
        part = table.loc[broken.row[broken.rule == number].to_numpy()]
        if rule.scope == "frame" and rule.severity == "critical":
            faults.append(_faults_of(part, rule))
            continue
        for sensor, each in part.groupby("sensor", sort=False):
            key = (str(sensor), rule.column)
            if rule.severity == "critical":
                refused.add(key)
                reasons.append(_describe_violation(str(sensor), rule, each))
            elif key not in refused:
                warnings.append(_describe_violation(str(sensor), rule, each))
    if drift is not None and drift.drifted:
        (reasons if settings.drift.severity == "critical" else warnings).append(drift.reason)
    found = pd.concat(faults, ignore_index=True) if faults else pd.DataFrame(columns=FAULT_COLUMNS)
    found["released"] = np.array([still_released(fault, released) for fault in found.itertuples()], bool)
    frames, aside = table.frame_id.nunique(), found.loc[~found.released, "frame_id"].nunique()
    if aside > settings.max_quarantined * frames:
        worst = ", ".join((found.sensor + " " + found.measure).value_counts().index[:3])
        limit = 100 * settings.max_quarantined
        reasons.append(f"{aside} of {frames} frames are at fault, more than {limit:g} % (most often: {worst})")
    return BatchFindings(found, tuple(reasons), tuple(warnings))


def still_released(fault: Any, released: Mapping[tuple[str, str, str], tuple[float, float]]) -> bool:
    """Whether a person has let this fault pass, and it is not notably worse than it was then."""
    key = (fault.frame_id, fault.sensor, fault.measure)
    if key not in released or is_unusable(fault.sensor, fault.measure, fault.value):
        return False
    value, threshold = released[key]
    off, was = (abs(abs(each) - abs(threshold)) for each in (fault.value, value))
    return not off > _WORSE * was + 1e-6 * abs(threshold)


def _faults_of(part: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The lines of frames that break a critical rule."""
    reason = part.fault if rule.column == "unreadable" else pd.Series(rule.reason, index=part.index)
    return pd.DataFrame(
        {
            "batch": part.batch,
            "frame_id": part.frame_id,
            "sensor": part.sensor,
            "measure": rule.column,
            "value": part[rule.column].astype(float),
            "threshold": part[rule.other].astype(float) if rule.test == "within" else float(rule.limit),
            "reason": part.sensor + " " + reason,
        }
    )


def _describe_violation(sensor: str, rule: Rule, part: pd.DataFrame) -> str:
    """One line on a rule that some frames of a sensor break."""
    if rule.scope == "batch":
        value = part[rule.column].iloc[0]
        limit = part[rule.other].iloc[0] if rule.test == "within" else rule.limit
        return f"{sensor}: {rule.reason} ({rule.column} {value:.4g}, limit {limit:.4g})"
    frames = "1 frame" if len(part) == 1 else f"{len(part)} frames"
    return f"{sensor}: {rule.reason} in {frames} ({rule.column})"


def pair_verdict(rig: Rig, settings: ContentChecks) -> _PairVerdict:
    """The state of one pair over the whole batch."""
    state = rig.state(settings)
    reason = {
        "aligned": f"within {rig.corner_px:.2f} px at the corners",
        "misaligned": f"{rig.corner_px:.2f} px off at a corner",
        "unmeasurable": _unmeasurable_for(rig),
    }[state]
    if alone := rig.compared - rig.measured:
        reason += f"; {alone} of {rig.compared} frames say nothing by themselves"
    if 0 < rig.measured < MIN_FRAMES:
        reason += f"; {rig.measured} measured frames are too few to judge a single one's shift"
    corner = None if state == "unmeasurable" else round(rig.corner_px, 3)
    return _PairVerdict(rig.sensor, state, reason, rig.compared, rig.measured, corner)


def _unmeasurable_for(rig: Rig) -> str:
    """Why a pair is unmeasurable."""
    if not rig.compared:
        return "no frame has both images, large enough"
    known = rig.found is not None and rig.found.shift is not None
    return "the shift is known, scale and rotation are not" if known else "too little in common"


def pair_states(table: pd.DataFrame, faults: pd.DataFrame, settings: ContentChecks) -> pd.Series:
    """What the images of each row's pair say: aligned, misaligned or unmeasurable; empty for the reference itself.

    Aligned is a pair whose field is certain at the corners, and within half of what is critical. A shift alone may
    show a fault, but not that there is none; and what lies in between is no evidence for either.
    """
    content = faults[faults.measure.isin(CONTENT)]
    at_fault = pd.MultiIndex.from_frame(table[["frame_id", "sensor"]]).isin(
        pd.MultiIndex.from_frame(content[["frame_id", "sensor"]])
    )
    misaligned = at_fault | (table.rig_corner_px > table.rig_limit_px).to_numpy()
    aligned = (table.corner_deviation_px <= settings.critical_px / 2).to_numpy()
    state = np.select([misaligned, aligned], ["misaligned", "aligned"], "unmeasurable")
    return pd.Series(np.where(table.sensor == table.reference, "", state), index=table.index)
