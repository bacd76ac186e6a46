"""The gates promote what is proven, and nothing else."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.evaluation.gates import ChampionScore, evaluate_gates, is_promoted, reasons
from sensorproof.settings import PromotionSettings

RULES = PromotionSettings(candidate="regularized", min_gain_mean=0.0, max_loss_full=1.0, max_loss_champion=0.0)
SUBSETS = ("camera", "depth", "camera+depth")
Points = st.floats(-100, 100)


def arm(seeds: list[int]) -> dict[str, Any]:
    figures = {name: {"mean": 50.0, "std": 1.0} for name in ("full", "mean", "worst")}
    return {"seeds": seeds, **figures, "subsets": {name: {"mean": 50.0, "std": 1.0} for name in SUBSETS}}


def evaluation(low: float = 1.0, full: float = 0.5, seeds: int = 3) -> dict[str, Any]:
    """A whole evaluation; `low` is the lower end of the gain in mean, `full` the gain with all sensors."""
    interval = {"value": low + 1, "ci95": [low, low + 2] if seeds > 1 else [None, None]}
    gain = {"full": {"value": full, "ci95": [full - 1, full + 1] if seeds > 1 else [None, None]}}
    numbers = list(range(seeds))
    return {
        "arms": {"baseline": arm(numbers), "regularized": arm(numbers)},
        "gain": {**gain, "mean": interval, "worst": interval},
    }


def failed(document: dict[str, Any], champion: ChampionScore | None = None) -> list[str]:
    return [gate.name for gate in evaluate_gates(document, RULES, champion) if not gate.passed]


def test_a_proven_gain_is_promoted() -> None:
    gates = evaluate_gates(evaluation(), RULES, None)
    assert [gate.name for gate in gates] == ["complete", "gain_mean", "loss_full"]
    assert is_promoted(gates)
    assert reasons(gates) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (evaluation(low=-0.1), ["gain_mean"]),
        (evaluation(low=0.0), ["gain_mean"]),
        (evaluation(full=-1.0), []),
        (evaluation(full=-1.01), ["loss_full"]),
        (evaluation(low=-1, full=-2), ["gain_mean", "loss_full"]),
        (evaluation(seeds=1), ["gain_mean"]),
    ],
)
def test_each_gate_fails_by_itself(document: dict[str, Any], expected: list[str]) -> None:
    assert failed(document) == expected


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
def test_the_champion_must_be_reached(champion: float | None, candidate: float, expected: list[str]) -> None:
    gates = evaluate_gates(evaluation(), RULES, ChampionScore(4, champion, candidate, "its file is gone"))
    assert [gate.name for gate in gates if not gate.passed] == expected
    if expected:
        assert "champion version 4" in reasons(gates)[0]
        assert gates[-1].value is None or gates[-1].value > 0


def test_a_champion_that_cannot_be_scored_says_why() -> None:
    (reason,) = reasons(evaluate_gates(evaluation(), RULES, ChampionScore(4, None, 60.0, "its file is gone")))
    assert reason == "loss_champion: champion version 4 cannot be compared: its file is gone"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("arms", "baseline"), None, "arm baseline is missing"),
        (("arms", "regularized"), None, "arm regularized is missing"),
        (("arms", "regularized", "seeds"), [], "regularized.seeds is empty"),
        (("arms", "baseline", "mean", "mean"), math.nan, "baseline.mean.mean is nan"),
        (("arms", "baseline", "worst", "std"), math.inf, "baseline.worst.std is inf"),
        (("arms", "regularized", "subsets", "depth"), None, "regularized.subsets.depth.mean is None"),
        (("arms", "regularized", "full", "mean"), True, "regularized.full.mean is True"),
        (("gain", "mean", "value"), math.nan, "gain.mean.value is nan"),
        (("gain", "mean", "ci95"), [math.nan, 1.0], "gain.mean.ci95 is [nan, 1.0]"),
        (("gain", "mean", "ci95"), [None, None], "gain.mean.ci95 is [None, None]"),
        (("gain", "worst"), None, "gain.worst.value is None"),
        (("gain",), None, "gain.full.value is None"),
    ],
)
def test_what_is_missing_or_not_finite_is_refused_before_all_else(
    path: tuple[str, ...], value: Any, named: str
) -> None:
    document = copy.deepcopy(evaluation())
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (gate,) = evaluate_gates(document, RULES, ChampionScore(1, 10.0, 90.0))
    assert not gate.passed
    assert gate.name == "complete"
    assert named in gate.reason


def test_nothing_at_all_is_refused() -> None:
    assert failed({}) == ["complete"]
    assert not is_promoted([])


@given(low=Points, full=Points, champion=Points, candidate=Points, gain=Points, loss=st.floats(0, 100))
def test_promoted_exactly_where_every_threshold_holds(
    low: float, full: float, champion: float, candidate: float, gain: float, loss: float
) -> None:
    rules = RULES.model_copy(update={"min_gain_mean": gain, "max_loss_full": loss, "max_loss_champion": loss})
    gates = evaluate_gates(evaluation(low, full), rules, ChampionScore(1, champion, candidate))
    assert is_promoted(gates) == (low > gain and -full <= loss and champion - candidate <= loss)
    assert len(reasons(gates)) == sum(not gate.passed for gate in gates)


def test_the_json_of_a_gate_has_the_promised_keys() -> None:
    for gate in evaluate_gates(evaluation(seeds=1), RULES, None):
        assert set(gate.to_json()) == {"name", "value", "threshold", "passed"}
