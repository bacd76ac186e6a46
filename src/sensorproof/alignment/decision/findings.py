"""From broken rules to findings: faults of frames, reasons to refuse a batch, and warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.decision.rules import Rule
from sensorproof.data.quarantine import is_unusable
from sensorproof.documents.validation import DriftRecord
from sensorproof.settings import ValidationSettings

FAULT_COLUMNS = ["batch", "frame_id", "sensor", "measure", "value", "threshold", "reason"]
Released = Mapping[tuple[str, str, str], tuple[float, float]]
"""{(frame id, sensor, measure): (value, threshold)} of faults that a person has released."""
_WORSE = 1.5
"""A release ends when the distance from the threshold grows by this factor."""


@dataclass(frozen=True)
class BatchFindings:
    """What the rules found in a batch."""

    faults: pd.DataFrame
    """A row per frame, sensor and measure at fault, with FAULT_COLUMNS and `released`."""
    reasons: tuple[str, ...]
    """Why the batch is refused; empty if it is not."""
    warnings: tuple[str, ...]


def collect_findings(
    table: pd.DataFrame,
    rules: Sequence[Rule],
    broken: pd.DataFrame,
    released: Released,
    drift: DriftRecord | None,
    settings: ValidationSettings,
) -> BatchFindings:
    """Collect the faults of frames, the reasons to refuse the batch, and the warnings.

    Args:
        table: the measures, a row per frame and sensor.
        rules: all rules.
        broken: columns rule (number in `rules`) and row (label in `table`).
        released: faults that a person has released.
        drift: of the batch from the training data, if it was measured.
        settings: the section validation.
    """
    faults: list[pd.DataFrame] = []
    reasons: list[str] = []
    warnings: list[str] = []
    refused: set[tuple[str, str]] = set()
    # Critical rules first: a reason to refuse the batch needs no warning as well.
    for number in sorted(broken.rule.unique(), key=lambda k: (rules[k].severity != "critical", k)):
        rule = rules[number]
        rows = table.loc[broken.row[broken.rule == number].to_numpy()]
        if rule.scope == "frame" and rule.severity == "critical":
            faults.append(_faults_of(rows, rule))
            continue
        for sensor, rows_of_sensor in rows.groupby("sensor", sort=False):
            key = (str(sensor), rule.column)
            if rule.severity == "critical":
                refused.add(key)
                reasons.append(_describe_violation(str(sensor), rule, rows_of_sensor))
            elif key not in refused:
                warnings.append(_describe_violation(str(sensor), rule, rows_of_sensor))
    if drift is not None and drift.drifted:
        (reasons if settings.drift.severity == "critical" else warnings).append(drift.reason)
    all_faults = pd.concat(faults, ignore_index=True) if faults else pd.DataFrame(columns=FAULT_COLUMNS)
    all_faults["released"] = np.array([is_released(fault, released) for fault in all_faults.itertuples()], bool)
    frames, quarantined = table.frame_id.nunique(), all_faults.loc[~all_faults.released, "frame_id"].nunique()
    if quarantined > settings.max_quarantined * frames:
        worst = ", ".join((all_faults.sensor + " " + all_faults.measure).value_counts().index[:3])
        limit = 100 * settings.max_quarantined
        reasons.append(f"{quarantined} of {frames} frames are at fault, more than {limit:g} % (most often: {worst})")
    return BatchFindings(all_faults, tuple(reasons), tuple(warnings))


def is_released(fault: Any, released: Released) -> bool:
    """Return whether a person has released this fault and it is not notably worse than it was then.

    Args:
        fault: a row of faults, with frame_id, sensor, measure, value and threshold.
        released: faults that a person has released.
    """
    key = (fault.frame_id, fault.sensor, fault.measure)
    if key not in released or is_unusable(fault.sensor, fault.measure, fault.value):
        return False
    value, threshold = released[key]
    excess, released_excess = (abs(abs(v) - abs(threshold)) for v in (fault.value, value))
    return not excess > _WORSE * released_excess + 1e-6 * abs(threshold)


def _faults_of(rows: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return the faults of rows that break a critical rule on frames."""
    reason = rows.fault if rule.column == "unreadable" else pd.Series(rule.reason, index=rows.index)
    return pd.DataFrame(
        {
            "batch": rows.batch,
            "frame_id": rows.frame_id,
            "sensor": rows.sensor,
            "measure": rule.column,
            "value": rows[rule.column].astype(float),
            "threshold": rows[rule.other].astype(float) if rule.test == "within" else float(rule.limit),
            "reason": rows.sensor + " " + reason,
        }
    )


def _describe_violation(sensor: str, rule: Rule, rows: pd.DataFrame) -> str:
    """Return one line on a rule that some frames of a sensor break."""
    if rule.scope == "batch":
        value = rows[rule.column].iloc[0]
        limit = rows[rule.other].iloc[0] if rule.test == "within" else rule.limit
        return f"{sensor}: {rule.reason} ({rule.column} {value:.4g}, limit {limit:.4g})"
    frames = "1 frame" if len(rows) == 1 else f"{len(rows)} frames"
    return f"{sensor}: {rule.reason} in {frames} ({rule.column})"
