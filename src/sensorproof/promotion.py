"""Compare a candidate with the champion, evaluate its gates, and promote or refuse it: for stage, command and flows."""

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow_registry import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Registry, Version
from sensorproof.adapters.mlflow_runs import fetch_json
from sensorproof.documents import Evaluation, PromotionRecord
from sensorproof.errors import RejectedError, SensorproofError, UsageError
from sensorproof.evaluation.gates import ChampionScore, Gate, evaluate_gates, is_promoted, list_reasons
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset

_ATTEMPTS = 3
"""How often the gates are evaluated again because somebody changed the champion meanwhile."""
OpenData = Callable[[], "PreparedDataset"]
"""Opens the prepared data. It is called only if there is a champion to compare with, because torch loads slowly."""


@dataclass(frozen=True)
class PromotionDecision:
    """The decision on a candidate; `version` is None where there was no model to register."""

    version: int | None
    gates: list[Gate]
    forced: bool = False
    """A person promoted it although a gate failed."""

    @property
    def promoted(self) -> bool:
        """Whether the candidate became champion."""
        return self.forced or is_promoted(self.gates)

    def to_record(self) -> PromotionRecord:
        """Return the object `promotion` of summary.json."""
        return PromotionRecord(
            decision="promoted" if self.promoted else "refused",
            model=MODEL,
            version=self.version,
            gates=tuple(gate.to_record() for gate in self.gates),
            reasons=tuple(list_reasons(self.gates)),
        )

    def tags(self) -> dict[str, str]:
        """Return the tags that a version or a run keeps of the decision."""
        record = self.to_record()
        return {
            tag.DECISION: record.decision,
            tag.GATES: json.dumps([gate.to_json() for gate in record.gates]),
            tag.FORCED: "yes" if self.forced else "no",
            tag.REASONS: "\n".join(record.reasons) or tag.NO_REASON,
        }

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "PromotionDecision":
        """Read a decision from the tags of a run: those of `tags`, and `model.version`."""
        reasons = dict(line.split(": ", 1) for line in tags[tag.REASONS].splitlines() if ": " in line)
        gates = [Gate(**gate, reason=reasons.get(gate["name"], "")) for gate in json.loads(tags[tag.GATES])]
        return cls(int(tags[tag.MODEL_VERSION]), gates)

    def describe(self, version: Version) -> str:
        """Describe the decision in Markdown, for the version's page in MLflow."""
        verdict = "Promoted" if self.promoted else "Refused"
        if self.forced:
            verdict += " by hand, against its gates"
        origin = f"Arm {version.arm}, seed {version.tags.get(tag.SEED)}, the arm's best on validation data."
        lines = [f"{verdict}. {origin}", ""]
        for gate in self.gates:
            value = "not measured" if gate.value is None else f"{gate.value:.2f}"
            mark = "passed" if gate.passed else f"**failed**: {gate.reason}"
            lines.append(f"- {gate.name} {value} (threshold {gate.threshold:g}): {mark}")
        return "\n".join(lines)


def decide_promotion(
    registry: Registry,
    version: Version,
    evaluation: Evaluation,
    candidate_mean: float,
    open_data: OpenData,
    settings: Settings,
) -> PromotionDecision:
    """Evaluate the gates of a registered version and set the aliases: champion if all pass, else challenger.

    Args:
        registry: is changed.
        version: the candidate.
        evaluation: the candidate's, with its gain over the baseline.
        candidate_mean: the version's own mean mIoU over the subsets on the present test split, in points.
        open_data: opens the data that the champion is scored on.
        settings: the thresholds of the gates.

    Raises:
        SensorproofError: the champion changed during each of several attempts.
    """
    for _ in range(_ATTEMPTS):
        champion = registry.with_alias(CHAMPION)
        gates = _evaluate_version(registry, version, evaluation, settings, champion, lambda: candidate_mean, open_data)
        if registry.aliases().get(CHAMPION) != (champion and champion.number):
            continue
        decision = PromotionDecision(version.number, gates)
        if decision.promoted:
            registry.set_champion(version, action="register", reason="all gates passed")
        elif champion is None or champion.number != version.number:
            reason = "; ".join(list_reasons(gates))
            registry.set_aliases({CHALLENGER: version.number}, action="register", reason=reason)
        return decision
    fault = "keeps changing while the gates are evaluated"
    raise SensorproofError(f"{MODEL}@{CHAMPION}", fault, "run the stage register again")


def _evaluate_version(
    registry: Registry,
    version: Version,
    evaluation: Evaluation,
    settings: Settings,
    champion: Version | None,
    candidate_mean: Callable[[], float],
    open_data: OpenData,
) -> list[Gate]:
    """Evaluate all gates; the champion is scored only if the evaluation is complete and it is another version."""
    gates = evaluate_gates(evaluation, settings.promotion, None)
    if champion is None or champion.number == version.number or not gates[0].passed:
        return gates
    scores = _compare_with_champion(registry, champion, candidate_mean, open_data, settings)
    return evaluate_gates(evaluation, settings.promotion, scores)


def _compare_with_champion(
    registry: Registry,
    champion: Version,
    candidate_mean: Callable[[], float],
    open_data: OpenData,
    settings: Settings,
) -> ChampionScore:
    """Score the champion on the present test split beside the candidate. An error becomes the fault of the gate."""
    from sensorproof.serving.rescore import rescore

    try:
        with tempfile.TemporaryDirectory() as folder:
            model = registry.fetch(champion, Path(folder))
            return ChampionScore(champion.number, rescore(model, open_data(), settings).mean, candidate_mean())
    except SensorproofError as error:
        return ChampionScore(champion.number, None, math.nan, f"{error.where}: {error.fault}")


def promote(
    registry: Registry,
    number: int | None,
    open_data: OpenData,
    settings: Settings,
    *,
    reason: str = "",
    force: bool = False,
) -> PromotionDecision:
    """Make a registered version champion by hand: its files are hashed again and its gates evaluated as of now.

    Args:
        registry: is changed.
        number: of the version; None is the challenger.
        open_data: opens the data that champion and version are scored on.
        settings: the thresholds of the gates; the candidate's arm is the version's own.
        reason: is written into the history.
        force: promote even if a gate fails. Files that have changed since they were registered are never promoted.

    Raises:
        UsageError: there is no such version, or it is champion already.
        RejectedError: a gate failed, or the files are not those that were registered.
    """
    from sensorproof.serving.rescore import rescore

    version = registry.with_alias(CHALLENGER) if number is None else registry.version(number)
    if version is None:
        fix = "name a version: `sensorproof registry promote 1`"
        raise UsageError(f"{MODEL}@{CHALLENGER}", "does not exist", fix)
    champion = registry.with_alias(CHAMPION)
    if champion is not None and champion.number == version.number:
        raise UsageError(f"version {version.number}", "is champion already", "see `sensorproof registry status`")
    with tempfile.TemporaryDirectory() as folder:
        model = registry.fetch(version, Path(folder))
        rules = settings.promotion.model_copy(update={"candidate": version.arm})
        own = settings.model_copy(update={"promotion": rules})
        gates = _evaluate_version(
            registry,
            version,
            _fetch_evaluation(registry, version),
            own,
            champion,
            lambda: rescore(model, open_data(), own).mean,
            open_data,
        )
    passed = is_promoted(gates)
    if not passed and not force:
        fix = "train a better one, or override with --force --reason …"
        raise RejectedError(f"{MODEL} version {version.number}", "; ".join(list_reasons(gates)), fix)
    decision = PromotionDecision(version.number, gates, forced=not passed)
    registry.annotate(version, decision.tags(), decision.describe(version))
    registry.set_champion(version, action="promote", reason=reason or "all gates passed", forced=decision.forced)
    return decision


def _fetch_evaluation(registry: Registry, version: Version) -> Evaluation:
    """Fetch the evaluation that a version was registered with."""
    run, name = version.tags.get(tag.RUN_PARENT), "evaluation.json"
    if run is None:
        fault = f"has no tag {tag.RUN_PARENT}, so its evaluation cannot be found"
        raise SensorproofError(f"{MODEL} version {version.number}", fault, "register its model with `dvc repro`")
    return Evaluation.parse(fetch_json(registry.connection, run, name), f"{name} of MLflow run {run}")


def roll_back(registry: Registry, reason: str) -> Version:
    """Swap champion and previous; return the new champion, whose files are hashed again.

    Raises:
        UsageError: there is no previous champion.
        RejectedError: its files are not those that were registered.
    """
    previous, champion = registry.with_alias(PREVIOUS), registry.with_alias(CHAMPION)
    if previous is None:
        raise UsageError(f"{MODEL}@{PREVIOUS}", "does not exist", "there is nothing to roll back to")
    with tempfile.TemporaryDirectory() as folder:
        registry.fetch(previous, Path(folder))
    changes = {CHAMPION: previous.number, PREVIOUS: champion.number if champion else None}
    registry.set_aliases(changes, action="rollback", reason=reason)
    return previous
