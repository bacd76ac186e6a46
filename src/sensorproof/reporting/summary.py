"""Summarise the result in a sentence: does the candidate deserve promotion, by how much, how sure, at what cost?"""

from dataclasses import dataclass
from typing import Literal

from sensorproof.documents import promotion as names
from sensorproof.documents.evaluation import BASELINE, Evaluation
from sensorproof.documents.fine_tuning import FineTuning
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
    span,
    with_limit,
)
from sensorproof.reporting.gate_lines import GateLine, gate_lines, gate_title
from sensorproof.reporting.language import _, mark, ngettext
from sensorproof.settings import PromotionSettings

State = Literal["yes", "no", "unproven", "none"]


@dataclass(frozen=True)
class _ReportSummary:
    """`title` answers, `sentence` says why; `details` are what else it brings and costs.

    `gates` are those that can be judged without asking the registry.
    """

    state: State
    title: str
    sentence: str
    details: list[str]
    gates: list[GateLine]


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
    if evaluation.fine_tuning is not None:
        return _fine_tuned(evaluation.fine_tuning, candidate)
    lacking = [arm for arm in dict.fromkeys((BASELINE, candidate)) if arm not in arms]
    if lacking or candidate == BASELINE:
        text = _("The candidate is the baseline itself.")
        if lacking:
            text = ngettext(
                "Only %(trained)s was trained; a comparison also needs %(lacking)s.",
                "Only %(trained)s were trained; a comparison also needs %(lacking)s.",
                len(arms),
                trained=join(list(map(arm_title, arms))),
                lacking=join(list(map(arm_title, lacking))),
            )
        return _ReportSummary("none", _("There is nothing to compare"), text, [], [])
    gates = evaluate_gates(evaluation, settings, None)
    lines = gate_lines(gates)
    if not gates[0].passed:
        return _ReportSummary("none", _("No answer: the evaluation is incomplete"), f"{gates[0].reason}.", [], lines)
    state, sentence = verdict(evaluation, gates, settings, confidence)
    return _ReportSummary(
        state,
        _(_TITLES[state], arm=arm_title(candidate)),
        sentence,
        details(evaluation, candidate, confidence, same_network),
        lines,
    )


def _fine_tuned(tuning: FineTuning, candidate: str) -> _ReportSummary:
    """Say that the registry compares the candidate with the champion, and what was left out."""
    text = _(
        "It was fine-tuned from champion version %(version)s, which it is compared with when it is registered. Skipped "
        "in this run: the search, %(skipped)s, and the comparison with the baseline.",
        version=tuning.champion,
        skipped=join(list(map(arm_title, tuning.skipped))),
    )
    return _ReportSummary("none", _("The %(arm)s model was fine-tuned", arm=arm_title(candidate)), text, [], [])


_TITLES: dict[State, str] = {
    "yes": mark("The %(arm)s model deserves promotion"),
    "no": mark("The %(arm)s model does not deserve promotion"),
    "unproven": mark("The %(arm)s model is not proven better"),
}


def verdict(
    evaluation: Evaluation, gates: list[Gate], settings: PromotionSettings, confidence: float
) -> tuple[State, str]:
    """Return state and sentence of a complete evaluation."""
    ours, gains = evaluation.arms[settings.candidate], evaluation.gains
    proven = next(gate for gate in gates if gate.name == names.GAIN_BASELINE)
    value, ends, number = gains["mean"].value, proven.interval, len(ours.seeds)
    least, claim, others = settings.min_gain_baseline, _claim(value, len(ours.subsets)), _other_failures(gates)
    if ends is None:
        sentence = _("%(claim)s, but on one seed, which gives no interval.", claim=claim)
        return "no" if others else "unproven", sentence + others
    certainty = _("(%(interval)s, %(seeds)s)", interval=interval(ends, confidence), seeds=seeds(number))
    plain = _("%(claim)s %(certainty)s.", claim=claim, certainty=certainty)
    if is_promoted(gates):
        return "yes", plain
    if value <= least:
        if value > 0:
            demanding = mark("%(claim)s %(certainty)s; promotion asks for more than %(least)s.")
            plain = _(demanding, claim=claim, certainty=certainty, least=signed(least))
        return "no", plain + others
    if proven.passed:
        return "no", plain + others
    text = (
        mark("%(claim)s, but the %(share)s interval over %(seeds)s is %(ends)s, so it may be chance.")
        if least == 0
        else mark(
            "%(claim)s, but the %(share)s interval over %(seeds)s is %(ends)s, and promotion asks for one that lies "
            "above %(least)s."
        )
    )
    values = {"share": percent(confidence), "seeds": seeds(number), "ends": span(*ends), "least": signed(least)}
    return "no" if others else "unproven", _(text, claim=claim, **values) + others


def _claim(value: float, subsets: int) -> str:
    """Say how candidate and baseline compare: `Averaged over all 7 sensor subsets it scores 1.0 points more than …`."""
    if subsets > 1:
        where = _("Averaged over all %(subsets)s sensor subsets", subsets=subsets)
    else:
        where = _("With its only sensor")
    return _("%(where)s it scores %(difference)s the baseline", where=where, difference=compare(value))


def _other_failures(gates: list[Gate]) -> str:
    """Say which gates besides the gain failed: the loss with all sensors with its figures, the others by name."""
    failed = {gate.name: gate for gate in gates if not gate.passed and gate.name != names.GAIN_BASELINE}
    text = ""
    full = failed.pop(names.LOSS_FULL, None)
    if full is not None and full.value is not None:
        lost, allowed = with_limit(full.value, full.threshold)
        lost_full = mark("With all sensors it loses %(lost)s points; at most %(allowed)s may be lost.")
        text = " " + _(lost_full, lost=lost, allowed=allowed)
    titles = [gate_title(name).lower() for name in failed]
    if titles:
        text += " " + ngettext(
            "It fails this gate: %(gates)s.", "It fails these gates: %(gates)s.", len(titles), gates=join(titles)
        )
    return text


def compare(value: float) -> str:
    """Say how far apart, in words: `3.1 points more than`."""
    size = points(abs(value))
    if float(size) == 0:
        return _("the same as")
    return _("%(points)s points more than", points=size) if value > 0 else _("%(points)s points less than", points=size)


def details(evaluation: Evaluation, candidate: str, confidence: float, same_network: bool) -> list[str]:
    """Say what the gain is with all sensors and in the worst case, and the cost at inference and in training."""
    ours, theirs = evaluation.arms[candidate], evaluation.arms[BASELINE]
    full, worst = (
        {"gain": signed(gain.value), "interval": interval(gain.ci95, confidence)}
        for gain in (evaluation.gains["full"], evaluation.gains["worst"])
    )
    gains = [
        _("With all sensors: %(gain)s points (%(interval)s).", **full),
        _("With the worst subset: %(gain)s points (%(interval)s).", **worst),
    ]
    if same_network and ours.parameters == theirs.parameters:
        same = mark("Inference costs the same: it is the same network of %(parameters)s parameters.")
        network = _(same, parameters=count(ours.parameters))
    else:
        other = mark("It is another network: %(ours)s parameters, %(theirs)s before.")
        network = _(other, ours=count(ours.parameters), theirs=count(theirs.parameters))
    times = [arm.train_seconds for arm in (ours, theirs)]
    values = {"ours": duration(times[0]), "theirs": duration(times[1])}
    if times[1]:
        longer = mark("Training took %(ratio)s times as long: %(ours)s a seed against %(theirs)s.")
        training_time = _(longer, ratio=f"{times[0] / times[1]:.1f}", **values)
    else:
        training_time = _("Training took %(ours)s a seed against %(theirs)s.", **values)
    return [" ".join(gains), f"{network} {training_time}"]
