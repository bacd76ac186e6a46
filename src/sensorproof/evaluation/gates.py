"""Does a candidate deserve to be champion? Figures in, gates out; nothing is read, written or promoted here."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sensorproof.settings import PromotionSettings

FIGURES = ("full", "mean", "worst")


@dataclass(frozen=True)
class Gate:
    """One condition. `value` is None where it could not be measured, which fails; `reason` is for people."""

    name: str
    value: float | None
    threshold: float
    passed: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "reason"}


@dataclass(frozen=True)
class ChampionScore:
    """Mean mIoU over all subsets, in points, of champion and candidate on the present test split.

    `champion` is None where the champion could not be scored; `fault` says why.
    """

    version: int
    champion: float | None
    candidate: float
    fault: str = ""


def evaluate_gates(
    evaluation: Mapping[str, Any], settings: PromotionSettings, champion: ChampionScore | None
) -> list[Gate]:
    """All gates of a candidate, in the order in which they are reported.

    Everything must be there and finite before any other gate is looked at: comparing a NaN is never an answer.

    Args:
        evaluation: artifacts/evaluation.json; `gain` is the candidate's over the baseline, paired by seed.
        settings: the thresholds, in points.
        champion: the comparison with the present champion, or None where there is none yet.
    """
    faults = _find_faults(evaluation, settings.candidate)
    complete = Gate("complete", float(len(faults)), 0.0, not faults, "; ".join(faults))
    if faults:
        return [complete]
    low = evaluation["gain"]["mean"]["ci95"][0]
    loss = -evaluation["gain"]["full"]["value"]
    gates = [
        complete,
        Gate(
            "gain_mean",
            low,
            settings.min_gain_mean,
            low is not None and low > settings.min_gain_mean,
            "one seed gives no interval: the gain is unproven"
            if low is None
            else f"the gain in mean mIoU is only sure to exceed {low:+.2f} points, not {settings.min_gain_mean:+.2f}",
        ),
        Gate(
            "loss_full",
            loss,
            settings.max_loss_full,
            loss <= settings.max_loss_full,
            f"with all sensors it loses {loss:.2f} points, more than {settings.max_loss_full:.2f}",
        ),
    ]
    return gates if champion is None else [*gates, _compare_with_champion(champion, settings.max_loss_champion)]


def _compare_with_champion(scores: ChampionScore, max_loss: float) -> Gate:
    """The gate `loss_champion`: how far the candidate's mean lies below the champion's."""
    if scores.champion is None or not math.isfinite(scores.champion) or not math.isfinite(scores.candidate):
        fault = scores.fault or "a score is not finite"
        reason = f"champion version {scores.version} cannot be compared: {fault}"
        return Gate("loss_champion", None, max_loss, False, reason)
    loss = scores.champion - scores.candidate
    reason = f"its mean lies {loss:.2f} points below champion version {scores.version}, more than {max_loss:.2f}"
    return Gate("loss_champion", loss, max_loss, loss <= max_loss, reason)


def is_promoted(gates: list[Gate]) -> bool:
    """True if there are gates and all have passed."""
    return bool(gates) and all(gate.passed for gate in gates)


def reasons(gates: list[Gate]) -> list[str]:
    """Why a candidate is refused; empty where it is not."""
    return [f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed]


def _find_faults(evaluation: Mapping[str, Any], candidate: str) -> list[str]:
    """What is missing from, or not finite in, an evaluation: arms, figures, subsets, seeds, gains."""
    arms = evaluation.get("arms") or {}
    faults = [f"arm {arm} is missing" for arm in dict.fromkeys(("baseline", candidate)) if arm not in arms]
    for arm in arms:
        faults += _arm_faults(arm, arms[arm], subsets=_subsets_of(arms))
    gain = evaluation.get("gain") or {}
    for figure in FIGURES:
        each = gain.get(figure) or {}
        if not is_finite(each.get("value")):
            faults.append(f"gain.{figure}.value is {each.get('value')}")
        interval = each.get("ci95") or []
        seeds = len((arms.get(candidate) or {}).get("seeds") or [])
        unproven = seeds == 1 and interval == [None, None]
        if len(interval) != 2 or not (unproven or all(map(is_finite, interval))):
            faults.append(f"gain.{figure}.ci95 is {interval or None}")
    return faults


def _subsets_of(arms: Mapping[str, Any]) -> set[str]:
    """Every subset that any arm was scored with."""
    return {name for arm in arms.values() for name in arm.get("subsets") or {}}


def _arm_faults(arm: str, scores: Mapping[str, Any], subsets: set[str]) -> Iterator[str]:
    """Faults of one `arms.<arm>` object."""
    if not scores.get("seeds"):
        yield f"{arm}.seeds is empty"
    if not subsets:
        yield f"{arm}.subsets is empty"
    named = {figure: scores.get(figure) for figure in FIGURES}
    named |= {f"subsets.{name}": (scores.get("subsets") or {}).get(name) for name in sorted(subsets)}
    for name, summary in named.items():
        for part in ("mean", "std"):
            if not is_finite((summary or {}).get(part)):
                yield f"{arm}.{name}.{part} is {(summary or {}).get(part)}"


def is_finite(value: Any) -> bool:
    """A number, and neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
