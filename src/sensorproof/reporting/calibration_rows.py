"""The rows of the page's table of calibration: can the confidence be trusted while a sensor is missing?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sensorproof.documents.evaluation import BASELINE, ArmSummary
from sensorproof.evaluation.subsets import subset_name
from sensorproof.reporting.formatting import arm_title, join, sensors_of, share
from sensorproof.reporting.language import _
from sensorproof.reporting.tables import conditions


@dataclass(frozen=True)
class CalibrationCell:
    """One arm with one subset; all shares are 0 to 1."""

    ece: float
    std: float | None
    """Over the seeds; None for one."""
    lead: float
    """Mean confidence less accuracy: above 0 the model is too sure of itself."""


@dataclass(frozen=True)
class CalibrationRow:
    """All sensors, or one missing."""

    label: str
    cells: list[CalibrationCell]


def calibration_rows(arms: Mapping[str, ArmSummary], shown: Sequence[str]) -> list[CalibrationRow]:
    """Make a row for all sensors and for each single one missing; none where no arm was measured."""
    rows = []
    for label, subset in conditions(sensors_of(arms)).items():
        cells = [cell for arm in shown if (cell := _cell(arms[arm], subset_name(subset))) is not None]
        if len(cells) == len(shown):
            rows.append(CalibrationRow(label, cells))
    return rows


def _cell(arm: ArmSummary, subset: str) -> CalibrationCell | None:
    own = (arm.calibration or {}).get(subset)
    if own is None:
        return None
    std = own.ece.std if len(arm.seeds) > 1 else None
    return CalibrationCell(own.ece.mean, std, own.confidence.mean - own.accuracy.mean)


def worst_calibration(arm: ArmSummary, sensors: Sequence[str]) -> tuple[str, float] | None:
    """Return the single missing sensor with the largest calibration error, and that error; None if not measured."""
    errors = {
        label: cell.ece
        for label, subset in list(conditions(sensors).items())[1:]
        if (cell := _cell(arm, subset_name(subset))) is not None
    }
    if not errors:
        return None
    label = max(errors, key=lambda each: errors[each])
    return label, errors[label]


def calibration_sentence(arms: Mapping[str, ArmSummary], candidate: str) -> str | None:
    """Say how far confidence and accuracy are apart at most, with one sensor missing."""
    sensors = sensors_of(arms)
    texts = []
    for name in dict.fromkeys((BASELINE, candidate)):
        worst = worst_calibration(arms[name], sensors) if name in arms else None
        if worst is None:
            return None
        label, error = worst
        texts.append(
            _("the %(arm)s model by %(error)s (%(subset)s)", arm=arm_title(name), error=share(error), subset=label)
        )
    return _("With one sensor missing, confidence and accuracy differ at most for %(arms)s.", arms=join(texts))
