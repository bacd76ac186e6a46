"""Summarise the result in a sentence: does the candidate deserve promotion, by how much, how sure, at what cost?"""

from dataclasses import dataclass
from typing import Literal

from sensorproof.documents import promotion as names
from sensorproof.documents.evaluation import BASELINE, Evaluation
from sensorproof.evaluation.gates import Gate, evaluate_gates, is_promoted
from sensorproof.reporting.formatting import (
    arm_title,
    count,
    duration,
    interval,
    join,
    percent,
    points,
    seeds,
    signed,
    with_limit,
)
from sensorproof.settings import PromotionSettings

State = Literal["yes", "no", "unproven", "none"]


@dataclass(frozen=True)
class _GateLine:
    """One gate in plain words; `interval` is empty where there is none."""

    title: str
    value: str
    demand: str
    interval: str
    note: str
    passed: bool


@dataclass(frozen=True)
class _ReportSummary:
    """`title` answers, `sentence` says why; `details` are what else it brings and costs.

    `gates` are those that can be judged without asking the registry.
    """

    state: State
    title: str
    sentence: str
    details: list[str]
    gates: list[_GateLine]


def summarize(
    evaluation: Evaluation, settings: PromotionSettings, confidence: float, same_network: bool
) -> _ReportSummary:
    """Evaluate the gates that need no registry and say what they mean.

    Args:
        evaluation: artifacts/evaluation.json.
        settings: the candidate and the thresholds of its gates.
        confidence: of the interval in the evaluation.
        same_network: candidate and baseline have the same architecture.
    """
    arms, candidate = evaluation.arms, settings.candidate
    lacking = [arm for arm in dict.fromkeys((BASELINE, candidate)) if arm not in arms]
    if lacking or candidate == BASELINE:
        trained = f"Only {join(list(map(arm_title, arms)))} {'was' if len(arms) == 1 else 'were'} trained"
        needed = f"a comparison also needs {join(list(map(arm_title, lacking)))}"
        text = f"{trained}; {needed}." if lacking else "The candidate is the baseline itself."
        return _ReportSummary("none", "There is nothing to compare", text, [], [])
    gates = evaluate_gates(evaluation, settings, None)
    lines = [_gate_line(gate) for gate in gates]
    if not gates[0].passed:
        return _ReportSummary("none", "No answer: the evaluation is incomplete", f"{gates[0].reason}.", [], lines)
    state, sentence = verdict(evaluation, gates, settings, confidence)
    name = f"The {arm_title(candidate)} model"
    titles: dict[State, str] = {
        "yes": f"{name} deserves promotion",
        "no": f"{name} does not deserve promotion",
        "unproven": f"{name} is not proven better",
    }
    return _ReportSummary(
        state, titles[state], sentence, details(evaluation, candidate, confidence, same_network), lines
    )


def verdict(
    evaluation: Evaluation, gates: list[Gate], settings: PromotionSettings, confidence: float
) -> tuple[State, str]:
    """Return state and sentence of a complete evaluation."""
    ours, gain = evaluation.arms[settings.candidate], evaluation.gain
    proven = next(gate for gate in gates if gate.name == names.GAIN_BASELINE)
    value, ends, number = gain.mean.value, proven.interval, len(ours.seeds)
    min_gain = settings.min_gain_baseline
    subsets = len(ours.subsets)
    where = f"Averaged over all {subsets} sensor subsets" if subsets > 1 else "With its only sensor"
    claim = f"{where} it scores {compare(value)} the baseline"
    others = _other_failures(gates)
    if ends is None:
        return "no" if others else "unproven", f"{claim}, but on one seed, which gives no interval.{others}"
    certainty = f"({interval(ends, confidence)}, {seeds(number)})"
    if is_promoted(gates):
        return "yes", f"{claim} {certainty}."
    if value <= min_gain:
        demand = f"; promotion asks for more than {signed(min_gain)}" if value > 0 else ""
        return "no", f"{claim} {certainty}{demand}.{others}"
    if proven.passed:
        return "no", f"{claim} {certainty}.{others}"
    low, high = map(signed, ends)
    chance = (
        "so it may be chance" if min_gain == 0 else f"and promotion asks for one that lies above {signed(min_gain)}"
    )
    text = f"the {percent(confidence)} interval over {seeds(number)} is {low} to {high}, {chance}"
    return "no" if others else "unproven", f"{claim}, but {text}.{others}"


def _other_failures(gates: list[Gate]) -> str:
    """Say which gates besides the gain failed: the loss with all sensors with its figures, the others by name."""
    failed = {gate.name: gate for gate in gates if not gate.passed and gate.name != names.GAIN_BASELINE}
    text = ""
    full = failed.pop(names.LOSS_FULL, None)
    if full is not None and full.value is not None:
        lost, allowed = with_limit(full.value, full.threshold)
        text = f" With all sensors it loses {lost} points; at most {allowed} may be lost."
    titles = [_TITLES[name].lower() for name in failed]
    if titles:
        text += f" It fails {'this gate' if len(titles) == 1 else 'these gates'}: {join(titles)}."
    return text


def compare(value: float) -> str:
    """Say how far apart, in words: `3.1 points more than`."""
    size = points(abs(value))
    return "the same as" if float(size) == 0 else f"{size} points {'more' if value > 0 else 'less'} than"


def details(evaluation: Evaluation, candidate: str, confidence: float, same_network: bool) -> list[str]:
    """Say what the gain is with all sensors and in the worst case, and the cost at inference and in training."""
    ours, theirs = evaluation.arms[candidate], evaluation.arms[BASELINE]
    gain = evaluation.gain
    parts = [
        f"{where}: {signed(gain.figure(figure).value)} points ({interval(gain.figure(figure).ci95, confidence)})."
        for figure, where in (("full", "With all sensors"), ("worst", "With the worst subset"))
    ]
    if same_network and ours.parameters == theirs.parameters:
        network = f"Inference costs the same: it is the same network of {count(ours.parameters)} parameters."
    else:
        network = f"It is another network: {count(ours.parameters)} parameters, {count(theirs.parameters)} before."
    times = [arm.train_seconds for arm in (ours, theirs)]
    ratio = f"{times[0] / times[1]:.1f} times as long" if times[1] else "a different time"
    training_time = f"Training took {ratio}: {duration(times[0])} a seed against {duration(times[1])}."
    return [" ".join(parts), f"{network} {training_time}"]


_TITLES = {
    names.COMPLETE: "Every figure is there and finite",
    names.GAIN_BASELINE: "Gain in the mean over subsets, lower end of its interval",
    names.LOSS_FULL: "Loss with all sensors",
    names.WORST_SUBSET: "Score with the worst subset",
    names.CLASS_LOSS: "Largest loss of a class",
    names.SITE_LOSS: "Largest loss of a site",
    names.CONDITION_LOSS: "Largest loss of a condition",
    names.SILENT_LOSS: "Loss while a sensor fails silently, against the baseline",
    names.FALSE_ALARMS: "Share of sound images that the monitor leaves out",
}
"""Of the gates that can be judged without asking the registry."""


def _gate_line(gate: Gate) -> _GateLine:
    """Put a gate in plain words."""
    title = _TITLES[gate.name]
    if gate.name == names.COMPLETE:
        faults = f"{gate.value:.0f} missing" if gate.value else "complete"
        return _GateLine(title, faults, "complete", "", "", gate.passed)
    ends = "" if gate.interval is None else f"{signed(gate.interval[0])} to {signed(gate.interval[1])}"
    if gate.name == names.GAIN_BASELINE:
        missing = "no interval" if "interval" in gate.reason else "not measured"
        value, demand = missing if gate.value is None else signed(gate.value), f"above {signed(gate.threshold)}"
    elif gate.value is None:
        value, demand = "not measured", "measured"
    elif gate.name == names.FALSE_ALARMS:
        value, demand = f"{gate.value:.4f}", f"at most {gate.threshold:g}"
    elif gate.name == names.WORST_SUBSET:
        value, limit = with_limit(gate.value, gate.threshold)
        demand = f"at least {limit}"
    else:
        value, limit = with_limit(max(0.0, gate.value), gate.threshold)
        demand = f"at most {limit}"
    return _GateLine(title, value, demand, ends, gate.note.replace("gain -", "gain −"), gate.passed)
