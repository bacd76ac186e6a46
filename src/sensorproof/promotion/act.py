"""Change the registry safely: promote, approve, refuse and roll back, for the stage and the commands.

A change is made under the registry's lock. Before it, the model is fetched and hashed again, and tried in a fresh
process with each sensor missing. The change is then written to the history, the aliases are set and read back, and the
entry is marked as completed (`Registry.set_aliases`). A process that dies in between leaves an entry that the next
change finishes first.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import user
from sensorproof.adapters.mlflow_registry import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Registry, Version
from sensorproof.documents import Evaluation
from sensorproof.errors import RejectedError, SensorproofError, UsageError
from sensorproof.evaluation.gates import is_promoted, list_reasons
from sensorproof.promotion.comparison import OpenData, evaluate_version, fetch_evaluation
from sensorproof.promotion.decision import PromotionDecision
from sensorproof.serving.trial import try_model
from sensorproof.settings import Settings

_ATTEMPTS = 3
"""How often the gates are evaluated again because somebody changed the champion meanwhile."""


def decide_promotion(
    registry: Registry,
    version: Version,
    model: Path,
    evaluation: Evaluation,
    open_data: OpenData,
    settings: Settings,
) -> PromotionDecision:
    """Evaluate the gates of a registered version and set the aliases: champion if all pass, else challenger.

    In the mode `approve`, a version that passes becomes challenger and waits.

    Args:
        registry: is changed.
        version: the candidate.
        model: its model folder, whose hash was checked.
        evaluation: the candidate's, with its gain over the baseline.
        open_data: opens the data that candidate and champion are scored on.
        settings: the thresholds of the gates.

    Raises:
        SensorproofError: the champion changed during each of several attempts.
    """
    for _ in range(_ATTEMPTS):
        champion = registry.with_alias(CHAMPION)
        judged = evaluate_version(registry, version, model, evaluation, settings, champion, open_data)
        gates, waits = judged.gates, settings.promotion.mode == "approve"
        decision = PromotionDecision(
            version.number, gates, needs_approval=waits, holdout=judged.holdout, skipped=judged.skipped
        )
        with registry.locked():
            if registry.aliases().get(CHAMPION) != (champion and champion.number):
                continue
            if decision.outcome == "promoted":
                _install(registry, version, action="register", reason="all gates passed")
            elif champion is None or champion.number != version.number:
                reason = "; ".join(list_reasons(gates)) or "all gates passed; waits for approval"
                registry.set_aliases({CHALLENGER: version.number}, action="register", reason=reason)
        return decision
    fault = "keeps changing while the gates are evaluated"
    raise SensorproofError(f"{MODEL}@{CHAMPION}", fault, "run the stage register again")


@dataclass(frozen=True)
class Request:
    """What a person asks of the registry."""

    number: int | None = None
    """The version; None is the challenger."""
    reason: str = ""
    """Is written into the history."""
    force: bool = False
    """Promote even if a gate fails. Files that have changed since they were registered are never promoted."""
    dry_run: bool = False
    """Do everything but the change."""


def promote(
    registry: Registry, request: Request, open_data: OpenData, settings: Settings, *, action: str = "promote"
) -> PromotionDecision:
    """Make a registered version champion by hand, if its gates pass as of now.

    Args:
        registry: is changed.
        request: the version, and why.
        open_data: opens the data that champion and version are scored on.
        settings: the thresholds of the gates; the candidate's arm is the version's own.
        action: as the history calls it.

    Raises:
        UsageError: there is no such version, or it is champion already.
        RejectedError: a gate failed, the files are not those that were registered, or the model cannot predict.
    """
    version = _find(registry, request.number)
    champion = registry.with_alias(CHAMPION)
    if champion is not None and champion.number == version.number:
        raise UsageError(f"version {version.number}", "is champion already", "see `sensorproof registry status`")
    rules = settings.promotion.model_copy(update={"candidate": version.arm})
    own = settings.model_copy(update={"promotion": rules})
    with tempfile.TemporaryDirectory() as folder:
        model = registry.fetch(version, Path(folder))
        evaluation = fetch_evaluation(registry, version)
        judged = evaluate_version(registry, version, model, evaluation, own, champion, open_data)
    gates = judged.gates
    passed = is_promoted(gates)
    if not passed and not request.force:
        fix = "train a better one, or override with --force --reason …"
        raise RejectedError(f"{MODEL} version {version.number}", "; ".join(list_reasons(gates)), fix)
    decision = PromotionDecision(
        version.number, gates, forced=not passed, holdout=judged.holdout, skipped=judged.skipped
    )
    reason = request.reason or "all gates passed"
    if request.dry_run:
        _try(registry, version)
        return decision
    with registry.locked():
        if registry.aliases().get(CHAMPION) != (champion and champion.number):
            fault = "was changed while the gates were evaluated"
            raise SensorproofError(f"{MODEL}@{CHAMPION}", fault, "run the command again")
        _install(registry, version, action=action, reason=reason, forced=decision.forced)
        approved = {tag.APPROVED_BY: user(), tag.APPROVED_BECAUSE: reason}
        registry.annotate(version, {**decision.tags(), **approved}, decision.describe(version))
    return decision


def approve(registry: Registry, request: Request, open_data: OpenData, settings: Settings) -> PromotionDecision:
    """Make a version champion that waits for approval; see `promote`.

    Raises:
        UsageError: the version does not wait.
    """
    version = _find_waiting(registry, request.number)
    return promote(
        registry, replace(request, number=version.number, force=False), open_data, settings, action="approve"
    )


def refuse(registry: Registry, request: Request) -> Version:
    """Refuse a version that waits for approval; it stays registered.

    Raises:
        UsageError: the version does not wait.
    """
    version = _find_waiting(registry, request.number)
    if request.dry_run:
        return version
    with registry.locked():
        if registry.aliases().get(CHALLENGER) == version.number:
            registry.set_aliases({CHALLENGER: None}, action="refuse", reason=request.reason)
        decision = PromotionDecision.from_tags(version.number, version.tags)
        decision = replace(decision, turned_down=f"refused by {user()}: {request.reason}")
        registry.annotate(version, decision.tags(), decision.describe(version))
    return version


def roll_back(registry: Registry, request: Request) -> Version:
    """Swap champion and previous; return the new champion, which has been fetched, hashed and tried.

    Raises:
        UsageError: there is no previous champion.
        RejectedError: its files are not those that were registered, or it cannot predict.
    """
    with registry.locked():
        previous, champion = registry.with_alias(PREVIOUS), registry.with_alias(CHAMPION)
        if previous is None:
            raise UsageError(f"{MODEL}@{PREVIOUS}", "does not exist", "there is nothing to roll back to")
        _try(registry, previous)
        if not request.dry_run:
            changes = {CHAMPION: previous.number, PREVIOUS: champion.number if champion else None}
            registry.set_aliases(changes, action="rollback", reason=request.reason)
    return previous


def _find(registry: Registry, number: int | None) -> Version:
    """Return the version of a number, or the challenger."""
    version = registry.with_alias(CHALLENGER) if number is None else registry.version(number)
    if version is None:
        fix = "name a version: `sensorproof registry promote 1`"
        raise UsageError(f"{MODEL}@{CHALLENGER}", "does not exist", fix)
    return version


def _find_waiting(registry: Registry, number: int | None) -> Version:
    """Return a version that waits for approval."""
    version = _find(registry, number)
    if version.tags.get(tag.DECISION) != "waiting":
        fault = f"does not wait for approval, it is {version.tags.get(tag.DECISION, 'undecided')}"
        raise UsageError(f"version {version.number}", fault, "see `sensorproof registry status`")
    return version


def _install(registry: Registry, version: Version, *, action: str, reason: str, forced: bool = False) -> None:
    """Try a version, then make it champion. The caller holds the lock."""
    _try(registry, version)
    registry.set_champion(version, action=action, reason=reason, forced=forced)


def _try(registry: Registry, version: Version) -> None:
    """Fetch a version, hash its files again, and predict in a fresh process with each sensor missing."""
    with tempfile.TemporaryDirectory() as folder:
        try_model(registry.fetch(version, Path(folder)), f"{MODEL} version {version.number}")
