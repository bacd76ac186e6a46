"""The gates promote what is proven, and nothing else."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.documents import Evaluation
from sensorproof.evaluation.gates import ChampionScore, evaluate_gates, is_promoted, list_reasons
from sensorproof.settings import PromotionSettings

RULES = PromotionSettings(
    candidate="regularized", mode="auto", min_gain_mean=0.0, max_loss_full=1.0, max_loss_champion=0.0
)
SUBSETS = ("camera", "depth", "camera+depth")
Points = st.floats(-100, 100)


def arm(seeds: list[int]) -> dict[str, Any]:
    figures = {name: {"mean": 50.0, "std": 1.0} for name in ("full", "mean", "worst", "spread")}
    subsets = {name: {"mean": 50.0, "std": 1.0} for name in SUBSETS}
    rest = {"per_class": {}, "support": {}, "parameters": 1, "train_seconds": 1.0}
    return {"seeds": seeds, **figures, "subsets": subsets, **rest}


def document(low: float = 1.0, full: float = 0.5, seeds: int = 3) -> dict[str, Any]:
    """A complete evaluation.json; `low` is the lower end of the gain in mean, `full` the gain with all sensors."""
    interval = {"value": low + 1, "ci95": [low, low + 2] if seeds > 1 else [None, None]}
    gain_full = {"value": full, "ci95": [full - 1, full + 1] if seeds > 1 else [None, None]}
    numbers = list(range(seeds))
    frames = {"train": 1, "val": 1, "test": 1, "quarantined": 0}
    return {
        "data": {"batches": ["b"], "hash": "0.dir", "frames": frames},
        "params_hash": "0",
        "git_commit": None,
        "arms": {"baseline": arm(numbers), "regularized": arm(numbers)},
        "gain": {"full": gain_full, "mean": interval, "worst": interval},
        "search": {"trials": 0, "best": {}},
    }


def evaluation(low: float = 1.0, full: float = 0.5, seeds: int = 3) -> Evaluation:
    return Evaluation.parse(document(low, full, seeds), "evaluation.json")


def failed(evaluation: Evaluation, champion: ChampionScore | None = None) -> list[str]:
    return [gate.name for gate in evaluate_gates(evaluation, RULES, champion) if not gate.passed]


def test_a_proven_gain_is_promoted() -> None:
    gates = evaluate_gates(evaluation(), RULES, None)
    assert [gate.name for gate in gates] == ["complete", "gain_mean", "loss_full"]
    assert is_promoted(gates)
    assert list_reasons(gates) == []


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (evaluation(low=-0.1), ["gain_mean"]),
        (evaluation(low=0.0), ["gain_mean"]),
        (evaluation(full=-1.0), []),
        (evaluation(full=-1.01), ["loss_full"]),
        (evaluation(low=-1, full=-2), ["gain_mean", "loss_full"]),
        (evaluation(seeds=1), ["gain_mean"]),
    ],
)
def test_each_gate_fails_independently(candidate: Evaluation, expected: list[str]) -> None:
    assert failed(candidate) == expected


@pytest.mark.parametrize(
    ("champion", "candidate", "expected"),
    [
        (50.0, 50.0, []),
        (50.0, 49.99, ["loss_champion"]),
        (None, 60.0, ["loss_champion"]),
        (math.nan, 60.0, ["loss_champion"]),
        (50.0, math.nan, ["loss_champion"]),
        (50.0, math.inf, ["loss_champion"]),
    ],
)
def test_the_candidate_must_reach_the_champion(champion: float | None, candidate: float, expected: list[str]) -> None:
    gates = evaluate_gates(evaluation(), RULES, ChampionScore(4, champion, candidate, "its file is gone"))
    assert [gate.name for gate in gates if not gate.passed] == expected
    if expected:
        assert "champion version 4" in list_reasons(gates)[0]
        assert gates[-1].value is None or gates[-1].value > 0


def test_the_reason_says_why_a_champion_cannot_be_scored() -> None:
    (reason,) = list_reasons(evaluate_gates(evaluation(), RULES, ChampionScore(4, None, 60.0, "its file is gone")))
    assert reason == "loss_champion: champion version 4 cannot be compared: its file is gone"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("arms", "baseline"), None, "arm baseline is missing"),
        (("arms", "regularized"), None, "arm regularized is missing"),
        (("arms", "regularized", "seeds"), [], "regularized.seeds is empty"),
        (("arms", "baseline", "mean", "mean"), math.nan, "baseline.mean.mean is nan"),
        (("arms", "baseline", "worst", "std"), math.inf, "baseline.worst.std is inf"),
        (("arms", "baseline", "subsets", "depth", "mean"), -math.inf, "baseline.subsets.depth.mean is -inf"),
        (("arms", "regularized", "subsets", "depth"), None, "regularized.subsets.depth is missing"),
        (("gain", "mean", "value"), math.nan, "gain.mean.value is nan"),
        (("gain", "mean", "ci95"), [math.nan, 1.0], "gain.mean.ci95 is [nan, 1.0]"),
        (("gain", "worst", "ci95"), [None, None], "gain.worst.ci95 is [None, None]"),
    ],
)
def test_missing_arms_and_scores_that_are_not_finite_fail_the_first_gate(
    path: tuple[str, ...], value: Any, named: str
) -> None:
    faulty = copy.deepcopy(document())
    place = faulty
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (gate,) = evaluate_gates(Evaluation.parse(faulty, "evaluation.json"), RULES, ChampionScore(1, 10.0, 90.0))
    assert not gate.passed
    assert gate.name == "complete"
    assert named in gate.reason.split("; ")
    assert gate.value == len(gate.reason.split("; "))


def test_an_evaluation_without_arms_is_refused() -> None:
    assert failed(evaluation().model_copy(update={"arms": {}})) == ["complete"]
    assert not is_promoted([])


@given(low=Points, full=Points, champion=Points, candidate=Points, gain=Points, loss=st.floats(0, 100))
def test_a_candidate_is_promoted_exactly_if_every_threshold_holds(
    low: float, full: float, champion: float, candidate: float, gain: float, loss: float
) -> None:
    rules = RULES.model_copy(update={"min_gain_mean": gain, "max_loss_full": loss, "max_loss_champion": loss})
    gates = evaluate_gates(evaluation(low, full), rules, ChampionScore(1, champion, candidate))
    assert is_promoted(gates) == (low > gain and -full <= loss and champion - candidate <= loss)
    assert len(list_reasons(gates)) == sum(not gate.passed for gate in gates)


def test_the_record_of_a_gate_has_the_documented_keys() -> None:
    for gate in evaluate_gates(evaluation(seeds=1), RULES, None):
        assert set(gate.to_record().to_json()) == {"name", "value", "threshold", "passed"}
