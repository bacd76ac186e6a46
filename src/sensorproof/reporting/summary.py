"""Summarise the result in a sentence: does the candidate deserve promotion, by how much, how sure, at what cost?"""

from dataclasses import dataclass
from typing import Literal

from sensorproof.documents.evaluation import BASELINE, Evaluation
from sensorproof.documents.promotion import GAIN_MEAN, LOSS_FULL
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
    """One gate in plain words."""

    title: str
    value: str
    demand: str
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
    lines = [_gate_line(gate, settings) for gate in gates]
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
    value, ends, number = gain.mean.value, gain.mean.ci95, len(ours.seeds)
    min_gain, loss = settings.min_gain_mean, -gain.full.value
    subsets = len(ours.subsets)
    where = f"Averaged over all {subsets} sensor subsets" if subsets > 1 else "With its only sensor"
    claim = f"{where} it scores {compare(value)} the baseline"
    certainty = f"({interval(ends, confidence)}, {seeds(number)})"
    full_loss = ""
    if loss > settings.max_loss_full:
        lost, allowed = with_limit(loss, settings.max_loss_full)
        full_loss = f" With all sensors it loses {lost} points; at most {allowed} may be lost."
    if is_promoted(gates):
        return "yes", f"{claim} {certainty}."
    if value <= min_gain:
        demand = f"; promotion asks for more than {signed(min_gain)}" if value > 0 else ""
        return "no", f"{claim} {certainty}{demand}.{full_loss}"
    if ends[0] is None:
        return "no" if full_loss else "unproven", f"{claim}, but on one seed, which gives no interval.{full_loss}"
    if ends[0] > min_gain:
        return "no", f"{claim} {certainty}.{full_loss}"
    low, high = map(signed, ends)
    chance = (
        "so it may be chance" if min_gain == 0 else f"and promotion asks for one that lies above {signed(min_gain)}"
    )
    text = f"the {percent(confidence)} interval over {seeds(number)} is {low} to {high}, {chance}"
    return "no" if full_loss else "unproven", f"{claim}, but {text}.{full_loss}"


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


def _gate_line(gate: Gate, settings: PromotionSettings) -> _GateLine:
    """Put a gate in plain words."""
    if gate.name == GAIN_MEAN:
        return _GateLine(
            "Gain in the mean over subsets, lower end of its interval",
            "no interval" if gate.value is None else signed(gate.value),
            f"above {signed(settings.min_gain_mean)}",
            gate.passed,
        )
    if gate.name == LOSS_FULL:
        lost, allowed = with_limit(max(0.0, gate.value or 0.0), settings.max_loss_full)
        return _GateLine("Loss with all sensors", lost, f"at most {allowed}", gate.passed)
    faults = f"{gate.value:.0f} missing" if gate.value else "complete"
    return _GateLine("Every figure is there and finite", faults, "complete", gate.passed)
