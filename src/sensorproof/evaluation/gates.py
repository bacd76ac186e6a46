"""Does a candidate deserve to be champion? Scores in, gates out; nothing is read, written or promoted here.

Every gate is evaluated and reported. What could not be measured (a score that is missing or not finite, a champion that
cannot be scored) fails, with the reason.

The first model has no champion to beat: the gates `gain_champion`, `inference_time` and `parameters` are left out, and
losses are measured against the baseline. A candidate that was fine-tuned has no baseline: `gain_baseline` is left out
where it is compared with a champion, and fails, as all others, where there is none.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sensorproof.documents import promotion as names
from sensorproof.documents.comparison import Comparison, Estimate, GroupGains
from sensorproof.documents.evaluation import BASELINE, FIGURES, ArmSummary, Evaluation
from sensorproof.documents.promotion import GateRecord
from sensorproof.documents.silent import SilentScores
from sensorproof.settings import PromotionSettings

_MAX_PARAMETERS = 1.0
"""Of the champion's number; no setting, as the method costs nothing at inference."""
_NAMED = 3
"""So many groups that were not judged are named."""


@dataclass(frozen=True)
class Gate:
    """One condition. `value` is None where it could not be measured, which fails; `reason` is for people.

    See `GateRecord` for the other fields.
    """

    name: str
    value: float | None
    threshold: float
    passed: bool
    reason: str
    interval: tuple[float, float] | None = None
    note: str = ""

    def to_record(self) -> GateRecord:
        """Return the gate as summary.json has it, without the reason."""
        fields = ("name", "value", "threshold", "passed", "interval", "note")
        return GateRecord(**{field: getattr(self, field) for field in fields})

    @classmethod
    def from_record(cls, record: GateRecord, reason: str) -> "Gate":
        """Build a gate from what `to_record` left out and in."""
        return cls(**dict(record), reason=reason)


@dataclass(frozen=True)
class ChampionTrial:
    """Candidate and champion on the hold-out, both scored now. What is None could not be measured; `fault` says why."""

    version: int
    comparison: Comparison | None = None
    """The candidate's gain over the champion."""
    time: Estimate | None = None
    """Of the candidate's inference, as a multiple of the champion's."""
    parameters: float | None = None
    """The same of their numbers of parameters."""
    silent: tuple[SilentScores, SilentScores] | None = None
    """Silent failures of candidate and champion; None where one of them has no monitor."""
    fault: str = ""


def evaluate_gates(
    evaluation: Evaluation,
    settings: PromotionSettings,
    champion: ChampionTrial | None,
    data_faults: Sequence[str] | None = None,
) -> list[Gate]:
    """Evaluate all gates of a candidate, in the order in which they are reported.

    Args:
        evaluation: `gain` and `comparison` are the candidate's over the baseline.
        settings: the candidate, and the thresholds.
        champion: the comparison with the present champion, or None where there is none yet.
        data_faults: what is wrong with data and hashes, or None to leave out the gate `data`, where nobody looked.
    """
    faults = _find_faults(evaluation, settings.candidate)
    gates = [Gate(names.COMPLETE, float(len(faults)), 0.0, not faults, "; ".join(faults))]
    if faults:
        thresholds = [*_thresholds(settings), *([] if data_faults is None else [(names.DATA, 0.0)])]
        gates += [_unmeasured(name, threshold, f"see {names.COMPLETE}") for name, threshold in thresholds]
    elif evaluation.fine_tuning is not None and champion is None:
        why = "it was fine-tuned without a baseline, and there is no champion to compare it with"
        gates += [_unmeasured(name, threshold, why) for name, threshold in _thresholds(settings)]
    else:
        gates += _judge_scores(evaluation, settings, champion)
    if data_faults is not None and not faults:
        gates.append(Gate(names.DATA, float(len(data_faults)), 0.0, not data_faults, "; ".join(data_faults)))
    left_out: tuple[str, ...] = () if champion is not None else names.AGAINST_CHAMPION
    if evaluation.fine_tuning is not None and champion is not None:
        left_out += (names.GAIN_BASELINE,)
    if not any(arm.silent for arm in evaluation.arms.values()):
        left_out += names.OF_SILENT_FAILURES
    return [gate for gate in gates if gate.name not in left_out]


def is_promoted(gates: Sequence[Gate]) -> bool:
    """Return whether there are gates and all have passed."""
    return bool(gates) and all(gate.passed for gate in gates)


def list_reasons(gates: Sequence[Gate]) -> list[str]:
    """List why a candidate is refused; empty where it is not."""
    return [f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed]


def _thresholds(settings: PromotionSettings) -> list[tuple[str, float]]:
    """List the gates that need scores, with their thresholds."""
    return [
        (names.GAIN_BASELINE, settings.min_gain_baseline),
        (names.GAIN_CHAMPION, settings.min_gain_champion),
        (names.LOSS_FULL, settings.max_loss_full),
        (names.WORST_SUBSET, settings.min_worst),
        (names.CLASS_LOSS, settings.max_loss_class),
        (names.SITE_LOSS, settings.max_loss_site),
        (names.CONDITION_LOSS, settings.max_loss_condition),
        (names.SILENT_LOSS, settings.max_loss_silent),
        (names.FALSE_ALARMS, settings.max_false_alarms),
        (names.INFERENCE_TIME, settings.max_time_ratio),
        (names.PARAMETERS, _MAX_PARAMETERS),
    ]


def _judge_scores(
    evaluation: Evaluation, settings: PromotionSettings, champion: ChampionTrial | None
) -> Iterator[Gate]:
    """Yield the gates of `_thresholds` for a complete evaluation."""
    over_baseline = evaluation.comparison.mean if evaluation.comparison else None
    if over_baseline is None and evaluation.gain is not None:  # an evaluation of an earlier version
        over_baseline = Estimate(value=evaluation.gain.mean.value, interval=evaluation.gain.mean.ci95)
    if over_baseline is not None:
        yield _judge_gain(names.GAIN_BASELINE, over_baseline, settings.min_gain_baseline, "the baseline")
    trial = champion or ChampionTrial(0)
    over = f"champion version {trial.version}" if champion else "the baseline"
    measured = champion.comparison if champion else evaluation.comparison
    if champion and measured is None:
        why = f"{over} cannot be compared: {trial.fault or 'it was not scored'}"
        yield _unmeasured(names.GAIN_CHAMPION, settings.min_gain_champion, why)
        for name, threshold in _thresholds(settings)[2:]:
            if name not in names.OF_SILENT_FAILURES:
                yield _unmeasured(name, threshold, f"see {names.GAIN_CHAMPION}")
            elif name == names.SILENT_LOSS:
                yield from _judge_silent(evaluation, settings, None)
        return
    if champion and measured:
        yield _judge_gain(names.GAIN_CHAMPION, measured.mean, settings.min_gain_champion, over)
    if measured is None:  # an evaluation of an earlier version has neither groups nor intervals of single figures
        assert evaluation.gain is not None
        full, worst = evaluation.gain.full, evaluation.arms[settings.candidate].worst.mean
        yield _judge_full(Estimate(value=full.value, interval=full.ci95), settings.max_loss_full, over)
        yield _judge_worst(Estimate(value=worst, interval=(None, None)), settings.min_worst)
    else:
        yield _judge_full(measured.full, settings.max_loss_full, over)
        yield _judge_worst(measured.worst, settings.min_worst)
    for name, kind, groups, most in (
        (names.CLASS_LOSS, "class", measured.classes if measured else None, settings.max_loss_class),
        (names.SITE_LOSS, "site", measured.sites if measured else None, settings.max_loss_site),
        (names.CONDITION_LOSS, "condition", measured.conditions if measured else None, settings.max_loss_condition),
    ):
        yield _judge_groups(name, kind, groups, most, settings.min_group_frames, over)
    yield from _judge_silent(evaluation, settings, champion)
    yield _judge_ratio(names.INFERENCE_TIME, "time for one frame", trial.time, settings.max_time_ratio)
    parameters = None if trial.parameters is None else Estimate(value=trial.parameters, interval=(None, None))
    yield _judge_ratio(names.PARAMETERS, "number of parameters", parameters, _MAX_PARAMETERS)


def _unmeasured(name: str, threshold: float, why: str) -> Gate:
    """Build a gate that fails because it could not be measured."""
    return Gate(name, None, threshold, False, f"not measured: {why}")


def _fault_of(estimate: Estimate) -> str:
    """Say what about an estimate is not finite; empty where all is. A missing interval is none of it."""
    numbers = [estimate.value, *(end for end in estimate.interval if end is not None)]
    return next((f"a figure is {number}" for number in numbers if not math.isfinite(number)), "")


def _ends(estimate: Estimate) -> tuple[float, float] | None:
    """Return the interval, or None where there is none."""
    low, high = estimate.interval
    return None if low is None or high is None else (low, high)


def _judge_gain(name: str, gain: Estimate, minimum: float, over: str) -> Gate:
    """Judge a gain in the mean: the lower end of its interval lies above the minimum."""
    if fault := _fault_of(gain):
        return _unmeasured(name, minimum, fault)
    ends = _ends(gain)
    if ends is None:
        few = "one seed" if name == names.GAIN_BASELINE else "one frame"
        return _unmeasured(name, minimum, f"{few} gives no interval, so the gain is unproven")
    reason = f"the gain in mean mIoU over {over} is only sure to exceed {ends[0]:+.2f} points, not {minimum:+.2f}"
    return Gate(name, ends[0], minimum, ends[0] > minimum, reason, ends, f"gain {gain.value:+.2f}")


def _judge_full(gain: Estimate, most: float, over: str) -> Gate:
    """Judge `loss_full`: with all sensors the candidate loses at most so much."""
    if fault := _fault_of(gain):
        return _unmeasured(names.LOSS_FULL, most, fault)
    loss = gain.negated()
    reason = f"with all sensors it loses {loss.value:.2f} points against {over}, more than {most:.2f}"
    return Gate(names.LOSS_FULL, loss.value, most, loss.value <= most, reason, _ends(loss))


def _judge_worst(score: Estimate, least: float) -> Gate:
    """Judge `worst_subset`: with its worst subset the candidate still scores so much."""
    if fault := _fault_of(score):
        return _unmeasured(names.WORST_SUBSET, least, fault)
    reason = f"with its worst subset it scores {score.value:.2f} points, less than {least:.2f}"
    return Gate(names.WORST_SUBSET, score.value, least, score.value >= least, reason, _ends(score))


def _judge_groups(name: str, kind: str, groups: GroupGains | None, most: float, fewest: int, over: str) -> Gate:
    """Judge the largest loss of a class, site or condition."""
    if groups is None:
        return _unmeasured(name, most, f"the evaluation has no score for each {kind}")
    if not groups.gains:
        return _unmeasured(name, most, f"no {kind} has {fewest} test frames; see promotion.min_group_frames")
    if fault := next(filter(None, map(_fault_of, groups.gains.values())), ""):
        return _unmeasured(name, most, fault)
    group = min(groups.gains, key=lambda each: groups.gains[each].value)
    loss = groups.gains[group].negated()
    reason = f"{kind} {group!r:.40} loses {loss.value:.2f} points against {over}, more than {most:.2f}"
    note = f"largest for {group:.40}"
    if groups.small:
        more = f" and {len(groups.small) - _NAMED} more" if len(groups.small) > _NAMED else ""
        note += f"; too few frames: {', '.join(f'{each:.40}' for each in groups.small[:_NAMED])}{more}"
    return Gate(name, loss.value, most, loss.value <= most, reason, _ends(loss), note)


def _judge_silent(
    evaluation: Evaluation, settings: PromotionSettings, champion: ChampionTrial | None
) -> Iterator[Gate]:
    """Yield the two gates of silent failures: against the champion, or the baseline if it has no monitor."""
    arms = evaluation.arms
    ours, theirs = (arms[arm].silent if arm in arms else None for arm in (settings.candidate, BASELINE))
    over = "the baseline"
    if champion is not None and champion.silent is not None:
        (ours, theirs), over = champion.silent, f"champion version {champion.version}"
    most, alarms = settings.max_loss_silent, settings.max_false_alarms
    if ours is None or theirs is None:
        other = "champion" if evaluation.fine_tuning is not None else "baseline"
        why = f"candidate and {other} were not both tried with silent failures"
        yield _unmeasured(names.SILENT_LOSS, most, why)
        yield _unmeasured(names.FALSE_ALARMS, alarms, f"see {names.SILENT_LOSS}")
        return
    loss = theirs.mean - ours.mean
    sensor, failure, short = ours.worst
    note = f"worst {sensor} {failure}: {short:.2f} below the better of absent and believed"
    reason = f"while a sensor fails silently it loses {loss:.2f} points against {over}, more than {most:.2f}"
    fault = _fault_of(Estimate(value=loss, interval=(None, None)))
    yield (
        _unmeasured(names.SILENT_LOSS, most, fault)
        if fault
        else Gate(names.SILENT_LOSS, loss, most, loss <= most, reason, None, note)
    )
    counted = ours.false_alarms
    if not counted.images:
        yield _unmeasured(names.FALSE_ALARMS, alarms, "there was no image of a sound sensor")
        return
    share = counted.alarms / counted.images
    reason = f"its monitor leaves out {share:.4f} of the images of sound sensors, more than {alarms:g}"
    note = f"{counted.alarms} of {counted.images} images"
    yield Gate(names.FALSE_ALARMS, share, alarms, share <= alarms, reason, None, note)


def _judge_ratio(name: str, what: str, ratio: Estimate | None, most: float) -> Gate:
    """Judge a cost as a multiple of the champion's."""
    if ratio is None or _fault_of(ratio):
        return _unmeasured(name, most, _fault_of(ratio) if ratio else "there is no figure")
    reason = f"its {what} is {ratio.value:.3g} times the champion's, more than {most:g}"
    return Gate(name, ratio.value, most, ratio.value <= most, reason, _ends(ratio))


def _find_faults(evaluation: Evaluation, candidate: str) -> list[str]:
    """List the arms and subsets that are missing, and the scores and gains that are not finite."""
    arms = evaluation.arms
    needed = (candidate,) if evaluation.fine_tuning is not None else (BASELINE, candidate)
    faults = [f"arm {arm} is missing" for arm in dict.fromkeys(needed) if arm not in arms]
    subsets = {name for scores in arms.values() for name in scores.subsets}
    for arm, scores in arms.items():
        faults += _arm_faults(arm, scores, subsets)
    one_seed = candidate in arms and len(arms[candidate].seeds) == 1
    if evaluation.gain is None and evaluation.fine_tuning is None:
        faults.append("gain is missing")
    gains = {} if evaluation.gain is None else {figure: evaluation.gain.figure(figure) for figure in FIGURES}
    for figure, gain in gains.items():
        if not math.isfinite(gain.value):
            faults.append(f"gain.{figure}.value is {gain.value}")
        unproven = one_seed and gain.ci95 == (None, None)
        if not unproven and not all(end is not None and math.isfinite(end) for end in gain.ci95):
            faults.append(f"gain.{figure}.ci95 is {list(gain.ci95)}")
    if evaluation.comparison is not None:
        for name in ("mean", "full", "worst"):
            estimate: Estimate = getattr(evaluation.comparison, name)
            if _fault_of(estimate):
                faults.append(f"comparison.{name} is {estimate.value}, {list(estimate.interval)}")
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
