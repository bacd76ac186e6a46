"""A candidate is compared, judged, and made champion or refused: the stage, the command and the flows call it."""

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorproof.adapters.mlflow import fetch_json
from sensorproof.adapters.mlflow_registry import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Registry, Version
from sensorproof.errors import RejectedError, SensorproofError, UsageError
from sensorproof.evaluation.gates import ChampionScore, Gate, evaluate_gates, is_promoted, reasons
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset

_ATTEMPTS = 3
"""How often a candidate is judged anew because somebody changed the champion meanwhile."""


_OpenData = Callable[[], "PreparedDataset"]
"""Opens the prepared data. It is asked only where there is a champion to compare with, for torch loads slowly."""


@dataclass(frozen=True)
class PromotionDecision:
    """What became of a candidate; `version` is None where there was no model to register."""

    version: int | None
    gates: list[Gate]
    forced: bool = False

    @property
    def promoted(self) -> bool:
        return self.forced or is_promoted(self.gates)

    def to_json(self) -> dict[str, Any]:
        """The `promotion` object of summary.json."""
        return {
            "decision": "promoted" if self.promoted else "refused",
            "model": MODEL,
            "version": self.version,
            "gates": [gate.to_json() for gate in self.gates],
            "reasons": reasons(self.gates),
        }

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "PromotionDecision":
        """Read back what `tags` wrote on a run, beside `model.version`."""
        why = dict(line.split(": ", 1) for line in tags["reasons"].splitlines() if ": " in line)
        gates = [Gate(**gate, reason=why.get(gate["name"], "")) for gate in json.loads(tags["gates"])]
        return cls(int(tags["model.version"]), gates)

    def tags(self) -> dict[str, str]:
        """What a version or a run keeps of it."""
        document = self.to_json()
        keep = {"decision": document["decision"], "gates": json.dumps(document["gates"])}
        forced = {"forced": "yes" if self.forced else "no"}
        return {**keep, **forced, "reasons": "\n".join(document["reasons"]) or "none"}


def decide_promotion(
    registry: Registry,
    version: Version,
    evaluation: Mapping[str, Any],
    candidate: float,
    data: _OpenData,
    settings: Settings,
) -> PromotionDecision:
    """Judge a newly registered version and set the aliases: champion if every gate passes, else challenger.

    Args:
        evaluation: artifacts/evaluation.json.
        candidate: the version's own mean mIoU over the subsets on the present test split, in points.
        settings: the gates' thresholds.

    Raises:
        SensorproofError: the champion changed each time the candidate had just been judged.
    """
    for _ in range(_ATTEMPTS):
        champion = registry.with_alias(CHAMPION)
        gates = _evaluate_version(registry, version, evaluation, settings, champion, lambda: candidate, data)
        if registry.aliases().get(CHAMPION) != (champion and champion.number):
            continue
        decision = PromotionDecision(version.number, gates)
        if decision.promoted:
            registry.set_champion(version, action="register", reason="all gates passed")
        elif champion is None or champion.number != version.number:
            registry.move({CHALLENGER: version.number}, action="register", reason="; ".join(reasons(gates)))
        return decision
    raise SensorproofError(f"{MODEL}@{CHAMPION}", "keeps changing while the candidate is judged", "register again")


def _evaluate_version(
    registry: Registry,
    version: Version,
    evaluation: Mapping[str, Any],
    settings: Settings,
    champion: Version | None,
    candidate: Callable[[], float],
    data: _OpenData,
) -> list[Gate]:
    """All gates of a version; the champion is scored only where the evaluation is whole and it is another version."""
    rules = settings.promotion
    gates = evaluate_gates(evaluation, rules, None)
    if champion is None or champion.number == version.number or not gates[0].passed:
        return gates
    return evaluate_gates(evaluation, rules, compare(registry, champion, candidate, data, settings))


def compare(
    registry: Registry,
    champion: Version,
    candidate: Callable[[], float],
    data: _OpenData,
    settings: Settings,
) -> ChampionScore:
    """Score the champion on the present test split beside the candidate. What cannot be scored is the gate's fault."""
    from sensorproof.serving.rescore import rescore

    try:
        with tempfile.TemporaryDirectory() as folder:
            model = registry.fetch(champion, Path(folder))
            return ChampionScore(champion.number, rescore(model, data(), settings).mean, candidate())
    except SensorproofError as error:
        return ChampionScore(champion.number, None, math.nan, f"{error.where}: {error.fault}")


def promote(
    registry: Registry,
    number: int | None,
    data: _OpenData,
    settings: Settings,
    *,
    reason: str = "",
    force: bool = False,
) -> PromotionDecision:
    """Make a registered version champion by hand: its files are hashed anew and its gates judged as of now.

    Args:
        number: of the version; None is the challenger.
        settings: the gates' thresholds; the candidate's arm is the version's own.
        reason: goes into the history.
        force: promote even if a gate fails. Files that have changed since they were registered are never promoted.

    Raises:
        UsageError: there is no such version, or it is champion already.
        Refused: a gate failed, or the files are not those that were registered.
    """
    from sensorproof.serving.rescore import rescore

    version = registry.with_alias(CHALLENGER) if number is None else registry.version(number)
    if version is None:
        raise UsageError(f"{MODEL}@{CHALLENGER}", "is not there", "name a version: `sensorproof registry promote 1`")
    champion = registry.with_alias(CHAMPION)
    if champion is not None and champion.number == version.number:
        raise UsageError(f"version {version.number}", "is champion already", "see `sensorproof registry status`")
    with tempfile.TemporaryDirectory() as folder:
        model = registry.fetch(version, Path(folder))
        evaluation = fetch_json(registry.connection, version.tags["run.parent"], "evaluation.json")
        rules = settings.promotion.model_copy(update={"candidate": version.tags["arm"]})
        own = settings.model_copy(update={"promotion": rules})
        gates = _evaluate_version(
            registry, version, evaluation, own, champion, lambda: rescore(model, data(), own).mean, data
        )
    passed = is_promoted(gates)
    if not passed and not force:
        fix = "train a better one, or override with --force --reason …"
        raise RejectedError(f"{MODEL} version {version.number}", "; ".join(reasons(gates)), fix)
    decision = PromotionDecision(version.number, gates, forced=not passed)
    registry.describe(version, decision.tags(), describe(version, decision))
    why = reason or "all gates passed"
    registry.set_champion(version, action="promote", reason=why, forced=decision.forced)
    return decision


def roll_back(registry: Registry, reason: str) -> Version:
    """Swap champion and previous; return the new champion, whose files are hashed anew.

    Raises:
        UsageError: there is no previous champion.
        Refused: its files are not those that were registered.
    """
    previous, champion = registry.with_alias(PREVIOUS), registry.with_alias(CHAMPION)
    if previous is None:
        raise UsageError(f"{MODEL}@{PREVIOUS}", "is not there", "there is nothing to roll back to")
    with tempfile.TemporaryDirectory() as folder:
        registry.fetch(previous, Path(folder))
    moves = {CHAMPION: previous.number, PREVIOUS: champion.number if champion else None}
    registry.move(moves, action="rollback", reason=reason)
    return previous


def describe(version: Version, decision: PromotionDecision) -> str:
    """A version's description, in Markdown."""
    tags = version.tags
    verdict = "Promoted" if decision.promoted else "Refused"
    if decision.forced:
        verdict += " by hand, against its gates"
    lines = [f"{verdict}. Arm {tags.get('arm')}, seed {tags.get('seed')}, the arm's best on validation data.", ""]
    for gate in decision.gates:
        value = "not measured" if gate.value is None else f"{gate.value:.2f}"
        mark = "passed" if gate.passed else f"**failed**: {gate.reason}"
        lines.append(f"- {gate.name} {value} (threshold {gate.threshold:g}): {mark}")
    return "\n".join(lines)
