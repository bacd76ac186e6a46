"""Every gate failed, missing, NaN and infinite, decided on a real server: one champion, and a whole history."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from helpers.evaluations import PROMOTION, estimate, evaluation_of_gain, make_comparison, make_silent
from helpers.paths import ROOT
from helpers.servers import MlflowServer
from sensorproof.adapters.mlflow import Connection
from sensorproof.adapters.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from sensorproof.documents import Estimate, Evaluation, GroupGains
from sensorproof.documents import promotion as gate_names
from sensorproof.evaluation.gates import ChampionTrial, evaluate_gates
from sensorproof.promotion import PromotionDecision, act
from sensorproof.promotion.comparison import Judgement
from sensorproof.settings import Settings, load_settings

STATES = ("failed", "missing", "nan", "infinite")
NO_GATE = "none"
_PARTS = {
    gate_names.GAIN_CHAMPION: "mean",
    gate_names.LOSS_FULL: "full",
    gate_names.WORST_SUBSET: "worst",
    gate_names.CLASS_LOSS: "classes",
    gate_names.SITE_LOSS: "sites",
    gate_names.CONDITION_LOSS: "conditions",
}
"""{gate: the part of a comparison that it judges}."""
_FAILING = {gate_names.WORST_SUBSET: 1.0}
"""{gate: a score that fails it}; elsewhere a gain of -9 points does."""
_FIRST_CANNOT = (gate_names.GAIN_CHAMPION, gate_names.INFERENCE_TIME, gate_names.PARAMETERS)
"""Gates that a first model does not have."""


def number(gate: str, state: str) -> float:
    return {"nan": math.nan, "infinite": math.inf}.get(state, _FAILING.get(gate, -9.0))


def good_evaluation() -> Evaluation:
    return evaluation_of_gain(3.0, 2.0, 4.0)


def break_comparison(against: ChampionTrial, gate: str, state: str) -> ChampionTrial:
    """Spoil one part of a comparison; a single figure cannot be missing, but the whole comparison can."""
    part, comparison = _PARTS[gate], against.comparison
    assert comparison is not None
    if part in ("classes", "sites", "conditions"):
        gains = {} if state == "missing" else {"a": estimate(1.0), "b": estimate(number(gate, state))}
        changed: Any = GroupGains(gains=gains, small=())
    elif state == "missing":
        return ChampionTrial(against.version, fault="its file is gone")
    else:
        changed = estimate(number(gate, state))
    changed_comparison = comparison.model_copy(update={part: changed})
    return ChampionTrial(against.version, changed_comparison, against.time, against.parameters)


def spoil(gate: str, state: str, champion: int | None) -> tuple[Evaluation, ChampionTrial | None, list[str]]:
    """Return evaluation, trial against the champion and faults of the data, in which one gate does not hold."""
    evaluation = good_evaluation()
    against = ChampionTrial(champion or 0, make_comparison(), estimate(1.0, 0.02), 1.0)
    faults: list[str] = []
    value = number(gate, state)
    if gate == NO_GATE:
        return evaluation, None if champion is None else against, faults
    if gate == gate_names.COMPLETE:
        arms = dict(evaluation.arms)
        arm = arms.pop("regularized")
        if state in ("nan", "infinite"):
            arms["regularized"] = arm.model_copy(update={"mean": arm.mean.model_copy(update={"mean": value})})
        elif state == "failed":
            arms["regularized"] = arm.model_copy(update={"seeds": ()})
        evaluation = evaluation.model_copy(update={"arms": arms})
    elif gate == gate_names.GAIN_BASELINE:
        gain = Estimate(value=3.0, interval=(None, None)) if state == "missing" else estimate(value)
        assert evaluation.comparison is not None
        comparison = evaluation.comparison.model_copy(update={"mean": gain})
        evaluation = evaluation.model_copy(update={"comparison": comparison})
    elif gate in gate_names.OF_SILENT_FAILURES:
        silent = {"missing": None, "failed": make_silent(-9.0, alarms=50)}.get(state, make_silent(value))
        if gate == gate_names.FALSE_ALARMS and silent is not None and state != "failed":  # a count is never NaN
            silent = silent.model_copy(update={"conditions": {}})
        arm = evaluation.arms["regularized"].model_copy(update={"silent": silent})
        evaluation = evaluation.model_copy(update={"arms": {**evaluation.arms, "regularized": arm}})
    elif gate == gate_names.DATA:
        faults = {"missing": ["the prepared data cannot be read"]}.get(state, [f"other data ({state})"])
    elif gate == gate_names.INFERENCE_TIME:
        time = None if state == "missing" else estimate(9.0 if state == "failed" else value, 0.1)
        against = ChampionTrial(against.version, against.comparison, time, 1.0)
    elif gate == gate_names.PARAMETERS:
        many = None if state == "missing" else 9.0 if state == "failed" else value
        against = ChampionTrial(against.version, against.comparison, against.time, many)
    elif champion is not None:
        against = break_comparison(against, gate, state)
    else:  # the same part, against the baseline
        own = break_comparison(ChampionTrial(0, evaluation.comparison), gate, state)
        evaluation = evaluation.model_copy(update={"comparison": own.comparison})
    return evaluation, None if champion is None else against, faults


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(ROOT / "params.yaml").model_copy(update={"promotion": PROMOTION})


@pytest.fixture(autouse=True)
def no_model_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions of this test hold no model: `test_mlflow_server` tries real ones."""
    monkeypatch.setattr(act, "try_model", lambda folder, name: None)
    monkeypatch.setattr(Registry, "fetch", lambda self, version, folder: folder)


@contextmanager
def opened(server: MlflowServer, name: str) -> Iterator[Registry]:
    yield Registry(Connection(MlflowClient(server.url), server.url, "0"), name)


def add_version(server: MlflowServer, name: str) -> int:
    client = MlflowClient(server.url)
    run = client.create_run("0").info
    return int(client.create_model_version(name, f"{run.artifact_uri}/model", run_id=run.run_id).version)


@pytest.fixture
def name(mlflow_server: MlflowServer, request: pytest.FixtureRequest) -> str:
    name = f"gates-{abs(hash(request.node.name)):x}"
    MlflowClient(mlflow_server.url).create_registered_model(name)
    return name


def decide(
    registry: Registry,
    number: int,
    gate: str,
    state: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> PromotionDecision:
    """Decide on a version whose figures are made up; the gates, the server and the act are real."""

    def judge(registry: Registry, version: Version, *rest: Any) -> Judgement:
        champion = rest[3]
        evaluation, against, faults = spoil(gate, state, champion and champion.number)
        return Judgement(evaluate_gates(evaluation, settings.promotion, against, faults), None)

    monkeypatch.setattr(act, "evaluate_version", judge)
    version = registry.version(number)
    return act.decide_promotion(registry, version, Path(), good_evaluation(), lambda: None, settings)  # type: ignore[arg-type,return-value]


def check_whole(registry: Registry) -> None:
    """One consistent champion, and a history whose chain is unbroken and says the same as the aliases."""
    history = registry.read_history()
    assert not history.pending
    assert registry.aliases() == history.aliases()
    assert list(registry.aliases().values()).count(registry.aliases().get(CHAMPION)) == 1


def test_every_gate_in_every_state_against_a_champion(
    mlflow_server: MlflowServer, name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a candidate that passes all gates replaces the champion; any other becomes challenger, with its reasons."""
    with opened(mlflow_server, name) as registry:
        first = add_version(mlflow_server, name)
        assert decide(registry, first, NO_GATE, "passed", settings, monkeypatch).outcome == "promoted"
        entries = len(registry.history())
        candidate = add_version(mlflow_server, name)
        for gate in gate_names.GATES:
            for state in STATES:
                decision = decide(registry, candidate, gate, state, settings, monkeypatch)
                failed = {each.name: each for each in decision.gates if not each.passed}
                assert decision.outcome == "refused", (gate, state)
                assert gate in failed, (gate, state)
                if gate not in (gate_names.COMPLETE, gate_names.DATA) and state != "failed":
                    assert failed[gate].value is None, (gate, state)
                    assert "not measured" in failed[gate].reason, (gate, state)
                assert registry.aliases() == {CHAMPION: first, CHALLENGER: candidate}, (gate, state)
                check_whole(registry)
        reasons = [change.reason for change in registry.history()[entries:]]
        assert {reason.partition(":")[0] for reason in reasons} <= set(gate_names.GATES)
        assert decide(registry, candidate, NO_GATE, "passed", settings, monkeypatch).outcome == "promoted"
        assert registry.aliases() == {CHAMPION: candidate, PREVIOUS: first}
        check_whole(registry)


def test_every_gate_in_every_state_for_a_first_model(
    mlflow_server: MlflowServer, name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(mlflow_server, name) as registry:
        candidate = add_version(mlflow_server, name)
        for gate in (each for each in gate_names.GATES if each not in _FIRST_CANNOT):
            for state in STATES:
                decision = decide(registry, candidate, gate, state, settings, monkeypatch)
                assert decision.outcome == "refused", (gate, state)
                assert registry.aliases() == {CHALLENGER: candidate}, (gate, state)
        assert decide(registry, candidate, NO_GATE, "passed", settings, monkeypatch).outcome == "promoted"
        assert registry.aliases() == {CHAMPION: candidate}
        check_whole(registry)


@pytest.mark.parametrize("change", ["deleted", "moved"])
def test_a_champion_that_somebody_deletes_or_moves_while_the_gates_are_evaluated(
    mlflow_server: MlflowServer, name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The gates are evaluated again, against what is champion then; what was done outside stands in the history."""
    client, attempts = MlflowClient(mlflow_server.url), []
    with opened(mlflow_server, name) as registry:
        first, other, candidate = (add_version(mlflow_server, name) for _ in range(3))
        decide(registry, first, NO_GATE, "passed", settings, monkeypatch)

        def judge(registry: Registry, version: Version, *rest: Any) -> Judgement:
            champion = rest[3]
            attempts.append(champion and champion.number)
            if len(attempts) == 1 and change == "deleted":
                client.delete_model_version(name, str(first))
            elif len(attempts) == 1:
                client.set_registered_model_alias(name, CHAMPION, str(other))
            evaluation, against, faults = spoil(NO_GATE, "passed", champion and champion.number)
            return Judgement(evaluate_gates(evaluation, settings.promotion, against, faults), None)

        monkeypatch.setattr(act, "evaluate_version", judge)
        decision = act.decide_promotion(
            registry,
            registry.version(candidate),
            Path(),
            good_evaluation(),
            lambda: None,  # type: ignore[arg-type,return-value]
            settings,
        )
        assert attempts == [first, None if change == "deleted" else other]
        assert decision.outcome == "promoted"
        assert registry.aliases() == {CHAMPION: candidate} | ({} if change == "deleted" else {PREVIOUS: other})
        assert "outside" in [entry.action for entry in registry.history()]
        check_whole(registry)
