"""Does a candidate deserve to be champion? Scores in, gates out; nothing is read, written or promoted here."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sensorproof.documents.evaluation import BASELINE, FIGURES, ArmSummary, Evaluation, Gain
from sensorproof.documents.promotion import COMPLETE, GAIN_MEAN, LOSS_CHAMPION, LOSS_FULL, GateRecord
from sensorproof.settings import PromotionSettings


@dataclass(frozen=True)
class Gate:
    """One condition. `value` is None where it could not be measured, which fails; `reason` is for people."""

    name: str
    value: float | None
    threshold: float
    passed: bool
    reason: str

    def to_record(self) -> GateRecord:
        """Return the gate as summary.json has it, without the reason."""
        return GateRecord(name=self.name, value=self.value, threshold=self.threshold, passed=self.passed)


@dataclass(frozen=True)
class ChampionScore:
    """Mean mIoU over all subsets, in points, of champion and candidate on the present test split.

    `champion` is None where the champion could not be scored; `fault` says why.
    """

    version: int
    champion: float | None
    candidate: float
    fault: str = ""


def evaluate_gates(evaluation: Evaluation, settings: PromotionSettings, champion: ChampionScore | None) -> list[Gate]:
    """Evaluate all gates of a candidate, in the order in which they are reported.

    The gate `complete` comes first. If an arm is missing or a score is not finite, no other gate is evaluated: a
    comparison with NaN means nothing.

    Args:
        evaluation: `gain` is the candidate's over the baseline, paired by seed.
        settings: the candidate, and the thresholds in points.
        champion: the comparison with the present champion, or None where there is none yet.
    """
    faults = _find_faults(evaluation, settings.candidate)
    complete = Gate(COMPLETE, float(len(faults)), 0.0, not faults, "; ".join(faults))
    if faults:
        return [complete]
    gates = [
        complete,
        _gate_gain(evaluation.gain.mean, settings.min_gain_mean),
        _gate_loss(evaluation.gain.full, settings.max_loss_full),
    ]
    return gates if champion is None else [*gates, _gate_champion(champion, settings.max_loss_champion)]


def is_promoted(gates: Sequence[Gate]) -> bool:
    """Return whether there are gates and all have passed."""
    return bool(gates) and all(gate.passed for gate in gates)


def list_reasons(gates: Sequence[Gate]) -> list[str]:
    """List why a candidate is refused; empty where it is not."""
    return [f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed]


def _gate_gain(gain: Gain, minimum: float) -> Gate:
    """Build the gate `gain_mean`: the lower end of the interval lies above the minimum."""
    low = gain.ci95[0]
    if low is None:
        return Gate(GAIN_MEAN, None, minimum, False, "one seed gives no interval: the gain is unproven")
    reason = f"the gain in mean mIoU is only sure to exceed {low:+.2f} points, not {minimum:+.2f}"
    return Gate(GAIN_MEAN, low, minimum, low > minimum, reason)


def _gate_loss(gain: Gain, most: float) -> Gate:
    """Build the gate `loss_full`: with all sensors the candidate loses at most so much."""
    loss = -gain.value
    reason = f"with all sensors it loses {loss:.2f} points, more than {most:.2f}"
    return Gate(LOSS_FULL, loss, most, loss <= most, reason)


def _gate_champion(scores: ChampionScore, most: float) -> Gate:
    """Build the gate `loss_champion`: the candidate's mean lies at most so far below the champion's."""
    if scores.champion is None or not math.isfinite(scores.champion) or not math.isfinite(scores.candidate):
        fault = scores.fault or "a score is not finite"
        reason = f"champion version {scores.version} cannot be compared: {fault}"
        return Gate(LOSS_CHAMPION, None, most, False, reason)
    loss = scores.champion - scores.candidate
    reason = f"its mean lies {loss:.2f} points below champion version {scores.version}, more than {most:.2f}"
    return Gate(LOSS_CHAMPION, loss, most, loss <= most, reason)


def _find_faults(evaluation: Evaluation, candidate: str) -> list[str]:
    """List the arms and subsets that are missing, and the scores and gains that are not finite."""
    arms = evaluation.arms
    faults = [f"arm {arm} is missing" for arm in dict.fromkeys((BASELINE, candidate)) if arm not in arms]
    subsets = {name for scores in arms.values() for name in scores.subsets}
    for arm, scores in arms.items():
        faults += _arm_faults(arm, scores, subsets)
    one_seed = candidate in arms and len(arms[candidate].seeds) == 1
    for figure in FIGURES:
        gain = evaluation.gain.figure(figure)
        if not math.isfinite(gain.value):
            faults.append(f"gain.{figure}.value is {gain.value}")
        unproven = one_seed and gain.ci95 == (None, None)
        if not unproven and not all(end is not None and math.isfinite(end) for end in gain.ci95):
            faults.append(f"gain.{figure}.ci95 is {list(gain.ci95)}")
    return faults


def _arm_faults(arm: str, scores: ArmSummary, subsets: set[str]) -> Iterator[str]:
    """Yield the faults of one arm; `subsets` are those that any arm was scored with."""
    if not scores.seeds:
        yield f"{arm}.seeds is empty"
    if not subsets:
        yield f"{arm}.subsets is empty"
    yield from (f"{arm}.subsets.{name} is missing" for name in sorted(subsets - set(scores.subsets)))
    statistics = {figure: scores.figure(figure) for figure in FIGURES}
    statistics |= {f"subsets.{name}": scores.subsets[name] for name in sorted(scores.subsets)}
    for name, statistic in statistics.items():
        for part, value in (("mean", statistic.mean), ("std", statistic.std)):
            if not math.isfinite(value):
                yield f"{arm}.{name}.{part} is {value}"


def is_finite(value: Any) -> bool:
    """Return whether this is a number, and neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
