"""The gates promote what is proven, and nothing else; all are reported."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.evaluations import PROMOTION as RULES
from helpers.evaluations import estimate, make_comparison, make_silent
from sensorproof.documents import Comparison, Estimate, Evaluation, GateRecord, GroupGains
from sensorproof.documents.promotion import AGAINST_CHAMPION, GATES
from sensorproof.documents.silent import SilentScores
from sensorproof.evaluation.gates import ChampionTrial, Gate, evaluate_gates, is_promoted, list_reasons

SUBSETS = ("camera", "depth", "camera+depth")
FIRST = [name for name in GATES if name not in AGAINST_CHAMPION]
"""The gates of the first model."""
Points = st.floats(-100, 100)


def arm(seeds: list[int]) -> dict[str, Any]:
    figures = {name: {"mean": 50.0, "std": 1.0} for name in ("full", "mean", "worst", "spread")}
    subsets = {name: {"mean": 50.0, "std": 1.0} for name in SUBSETS}
    rest = {"per_class": {}, "support": {}, "parameters": 1, "train_seconds": 1.0, "silent": make_silent().to_json()}
    return {"seeds": seeds, **figures, "subsets": subsets, **rest}


def document(seeds: int = 3, **figures: float) -> dict[str, Any]:
    """A complete evaluation.json; `figures` are those of `make_comparison`."""
    gain = {"value": 2.0, "ci95": [1.0, 3.0] if seeds > 1 else [None, None]}
    numbers = list(range(seeds))
    frames = {"train": 1, "val": 1, "test": 1, "quarantined": 0}
    return {
        "data": {"batches": ["b"], "hash": "0.dir", "frames": frames},
        "params_hash": "0",
        "git_commit": None,
        "arms": {"baseline": arm(numbers), "regularized": arm(numbers)},
        "gain": {"full": gain, "mean": gain, "worst": gain},
        "search": {"trials": 0, "best": {}},
        "comparison": make_comparison(half=1.0 if seeds > 1 else None, **figures).to_json(),
    }


def evaluation(seeds: int = 3, **figures: float) -> Evaluation:
    return Evaluation.parse(document(seeds, **figures), "evaluation.json")


def trial(time: Estimate | None = None, parameters: float | None = 1.0, **figures: float) -> ChampionTrial:
    """A candidate that beats champion version 4, unless `figures` say otherwise."""
    return ChampionTrial(4, make_comparison(**figures), time or estimate(1.0, 0.02), parameters)


def with_comparison(change: Callable[[Comparison], dict[str, Any]]) -> Evaluation:
    """A complete evaluation with another comparison."""
    whole = evaluation()
    assert whole.comparison is not None
    return whole.model_copy(update={"comparison": whole.comparison.model_copy(update=change(whole.comparison))})


def failed(gates: list[Gate]) -> list[str]:
    return [gate.name for gate in gates if not gate.passed]


def test_a_proven_first_model_is_promoted_without_the_gates_against_a_champion() -> None:
    gates = evaluate_gates(evaluation(), RULES, None, [])
    assert [gate.name for gate in gates] == FIRST
    assert is_promoted(gates)
    assert list_reasons(gates) == []


def test_a_candidate_that_beats_the_champion_is_promoted_by_all_gates() -> None:
    gates = evaluate_gates(evaluation(), RULES, trial(), [])
    assert tuple(gate.name for gate in gates) == GATES
    assert is_promoted(gates)


def test_every_gate_has_value_threshold_and_interval() -> None:
    found = {
        g.name: (g.value, g.threshold, g.interval)
        for g in evaluate_gates(evaluation(), RULES, trial(mean=4.0, full=0.25, worst=30.0, group=-1.5), [])
    }
    loss = (1.5, 5.0, (0.5, 2.5))
    assert found == {
        "complete": (0.0, 0.0, None),
        "gain_baseline": (2.0, 0.0, (2.0, 4.0)),
        "gain_champion": (3.0, 0.0, (3.0, 5.0)),
        "loss_full": (-0.25, 1.0, (-1.25, 0.75)),
        "worst_subset": (30.0, 10.0, (29.0, 31.0)),
        "class_loss": loss,
        "site_loss": loss,
        "condition_loss": loss,
        "silent_loss": (0.0, 1.0, None),
        "false_alarms": (0.0, 0.01, None),
        "inference_time": (1.0, 1.1, (0.98, 1.02)),
        "parameters": (1.0, 1.0, None),
        "data": (0.0, 0.0, None),
    }


@pytest.mark.parametrize(
    ("against", "expected"),
    [
        ({"mean": 0.9}, ["gain"]),
        ({"mean": 1.0}, ["gain"]),  # the lower end is 0, and must exceed it
        ({"mean": 1.1}, []),
        ({"full": -1.0}, []),
        ({"full": -1.01}, ["loss_full"]),
        ({"worst": 10.0}, []),
        ({"worst": 9.99}, ["worst_subset"]),
        ({"group": -5.0}, []),
        ({"group": -5.01}, ["class_loss", "site_loss", "condition_loss"]),
        ({"mean": -1.0, "full": -2.0}, ["gain", "loss_full"]),
    ],
)
def test_each_gate_fails_by_itself(against: dict[str, float], expected: list[str]) -> None:
    """Against the baseline for the first model, against the champion for any other."""
    first = failed(evaluate_gates(evaluation(**against), RULES, None, []))
    assert first == [name.replace("gain", "gain_baseline") for name in expected]
    later = failed(evaluate_gates(evaluation(), RULES, trial(**against), []))
    assert later == [name.replace("gain", "gain_champion") for name in expected]


def test_with_a_champion_only_the_gain_is_measured_against_the_baseline() -> None:
    poor = evaluation(mean=-1.0, full=-9.0, worst=1.0, group=-30.0)
    assert failed(evaluate_gates(poor, RULES, trial(), [])) == ["gain_baseline"]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({"time": estimate(1.1, 0.2)}, []),
        ({"time": estimate(1.11, 0.2)}, ["inference_time"]),
        ({"time": estimate(math.nan, 0.2)}, ["inference_time"]),
        ({"time": estimate(math.inf, 0.2)}, ["inference_time"]),
        ({"parameters": 0.5}, []),
        ({"parameters": 1.0001}, ["parameters"]),
        ({"parameters": None}, ["parameters"]),
        ({"parameters": math.nan}, ["parameters"]),
    ],
)
def test_a_candidate_costs_no_more_than_the_champion(cost: dict[str, Any], expected: list[str]) -> None:
    assert failed(evaluate_gates(evaluation(), RULES, trial(**cost), [])) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("figure", ["mean", "full", "worst"])
def test_a_figure_against_the_champion_that_is_not_finite_fails(figure: str, value: float) -> None:
    """Also +inf, which exceeds every minimum."""
    for broken in (Estimate(value=value, interval=(1.0, 2.0)), Estimate(value=50.0, interval=(value, 60.0))):
        against = trial()
        assert against.comparison is not None
        compared = against.comparison.model_copy(update={figure: broken})
        gates = evaluate_gates(evaluation(), RULES, ChampionTrial(4, compared, against.time, 1.0), [])
        names = {"mean": "gain_champion", "full": "loss_full", "worst": "worst_subset"}
        assert failed(gates) == [names[figure]]
        (gate,) = (gate for gate in gates if not gate.passed)
        assert gate.value is None
        assert "not measured: a figure is" in gate.reason


@pytest.mark.parametrize(("part", "gate"), [("classes", "class"), ("sites", "site"), ("conditions", "condition")])
def test_a_group_fails_alone_if_it_is_not_finite_or_if_there_is_none(part: str, gate: str) -> None:
    broken = {"a": estimate(1.0), "b": estimate(math.nan)}
    gates = evaluate_gates(with_comparison(lambda _: {part: GroupGains(gains=broken, small=())}), RULES, None, [])
    assert failed(gates) == [f"{gate}_loss"]
    gates = evaluate_gates(with_comparison(lambda _: {part: GroupGains(gains={}, small=("a",))}), RULES, None, [])
    assert list_reasons(gates) == [
        f"{gate}_loss: not measured: no {gate} has 2 test frames; see promotion.min_group_frames"
    ]


def test_the_note_names_the_group_that_lost_most_and_those_that_are_not_judged() -> None:
    small = GroupGains(gains={"day": estimate(1.0), "night": estimate(-2.0)}, small=("fog", "hail", "ice", "mist"))
    gates = evaluate_gates(with_comparison(lambda _: {"conditions": small}), RULES, None, [])
    (gate,) = (gate for gate in gates if gate.name == "condition_loss")
    assert gate.note == "largest for night; too few frames: fog, hail, ice and 1 more"


def test_the_reason_says_why_a_champion_cannot_be_scored() -> None:
    gates = evaluate_gates(evaluation(), RULES, ChampionTrial(4, fault="its file is gone"), [])
    assert tuple(gate.name for gate in gates) == GATES
    assert {gate.name for gate in gates if gate.passed} == {
        "complete",
        "gain_baseline",
        "silent_loss",
        "false_alarms",
        "data",
    }
    assert all(gate.value is None for gate in gates if not gate.passed)
    first, *others = list_reasons(gates)
    assert first == "gain_champion: not measured: champion version 4 cannot be compared: its file is gone"
    assert {reason.partition(": ")[2] for reason in others} == {"not measured: see gain_champion"}


def with_silent(**arms: SilentScores | None) -> Evaluation:
    """A complete evaluation whose arms have other scores under silent failures."""
    whole = evaluation()
    changed = {name: whole.arms[name].model_copy(update={"silent": silent}) for name, silent in arms.items()}
    return whole.model_copy(update={"arms": {**whole.arms, **changed}})


@pytest.mark.parametrize(
    ("ours", "failed"),
    [(make_silent(4.0), []), (make_silent(3.9), ["silent_loss"]), (make_silent(9.0, alarms=2), ["false_alarms"])],
)
def test_silent_failures_are_judged_against_a_champion_with_a_monitor(ours: SilentScores, failed: list[str]) -> None:
    against = replace(trial(), silent=(ours, make_silent(5.0)))
    gates = evaluate_gates(evaluation(), RULES, against, [])
    assert [gate.name for gate in gates if not gate.passed] == failed
    if failed == ["silent_loss"]:
        assert list_reasons(gates)[0].endswith("loses 1.10 points against champion version 4, more than 1.00")


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        (make_silent(-1.0), []),
        (make_silent(-1.01), ["silent_loss"]),
        (make_silent(math.nan), ["silent_loss"]),
        (make_silent(-math.inf), ["silent_loss"]),
        (make_silent(0.0, alarms=1), []),
        (make_silent(0.0, alarms=2), ["false_alarms"]),
        (None, ["silent_loss", "false_alarms"]),
    ],
)
def test_silent_failures_are_judged_against_the_baseline(silent: SilentScores | None, expected: list[str]) -> None:
    gates = evaluate_gates(with_silent(regularized=silent), RULES, trial(), [])
    assert failed(gates) == expected
    if silent is not None and not expected:
        (gate,) = (gate for gate in gates if gate.name == "silent_loss")
        assert gate.note == "worst camera shifted: 1.50 below the better of absent and believed"


def test_an_evaluation_that_tried_no_silent_failures_is_not_judged_by_them() -> None:
    gates = evaluate_gates(with_silent(baseline=None, regularized=None), RULES, trial(), [])
    assert {"silent_loss", "false_alarms"} & {gate.name for gate in gates} == set()
    assert is_promoted(gates)


def test_one_seed_proves_no_gain_over_the_baseline() -> None:
    gates = evaluate_gates(evaluation(seeds=1), RULES, None, [])
    assert list_reasons(gates) == ["gain_baseline: not measured: one seed gives no interval, so the gain is unproven"]


def test_faults_of_data_and_hashes_fail_and_are_counted() -> None:
    gates = evaluate_gates(evaluation(), RULES, None, ["other data", "other frames"])
    assert list_reasons(gates) == ["data: other data; other frames"]
    assert gates[-1].value == 2.0
    assert "data" not in [gate.name for gate in evaluate_gates(evaluation(), RULES, None)]


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
        (("comparison", "mean", "value"), math.nan, "comparison.mean is nan, [2.0, 4.0]"),
        (("comparison", "worst", "interval"), [1.0, math.inf], "comparison.worst is 40.0, [1.0, inf]"),
    ],
)
@pytest.mark.parametrize("champion", [None, trial()])
def test_what_is_missing_or_not_finite_fails_the_first_gate_and_leaves_the_others_unmeasured(
    path: tuple[str, ...], value: Any, named: str, champion: ChampionTrial | None
) -> None:
    faulty = copy.deepcopy(document())
    place = faulty
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    first, *others = evaluate_gates(Evaluation.parse(faulty, "evaluation.json"), RULES, champion, [])
    assert not first.passed
    assert first.name == "complete"
    assert named in first.reason.split("; ")
    assert first.value == len(first.reason.split("; "))
    assert [gate.name for gate in others] == list(GATES if champion else FIRST)[1:]
    assert {(gate.value, gate.passed, gate.reason) for gate in others} == {(None, False, "not measured: see complete")}


def test_an_evaluation_without_arms_is_refused() -> None:
    assert "complete" in failed(evaluate_gates(evaluation().model_copy(update={"arms": {}}), RULES, None, []))
    assert not is_promoted([])


def test_an_evaluation_of_an_earlier_version_has_no_groups_and_so_makes_no_first_model() -> None:
    """Its gain over the baseline counts, with the interval that it has; against a champion nothing else is needed."""
    old = evaluation().model_copy(update={"comparison": None})
    gates = {gate.name: gate for gate in evaluate_gates(old, RULES, None, [])}
    assert gates["gain_baseline"].interval == (1.0, 3.0)
    assert [name for name, gate in gates.items() if not gate.passed] == ["class_loss", "site_loss", "condition_loss"]
    assert is_promoted(evaluate_gates(old, RULES, trial(), []))


@given(
    *[Points] * 3,
    st.floats(0, 100),
    Points,
    st.floats(0, 3),
    st.floats(0.5, 2),
    Points,
    st.floats(0, 100),
    st.booleans(),
)
def test_a_candidate_is_promoted_exactly_if_every_threshold_holds(
    baseline: float,
    mean: float,
    full: float,
    worst: float,
    group: float,
    time: float,
    parameters: float,
    gain: float,
    loss: float,
    first: bool,
) -> None:
    limits = {"min_gain_baseline": gain, "min_gain_champion": gain, "max_loss_full": loss, "min_worst": loss}
    rules = RULES.model_copy(update=limits | {f"max_loss_{kind}": loss for kind in ("class", "site", "condition")})
    figures = {"mean": mean, "full": full, "worst": worst, "group": group}
    if first:
        gates = evaluate_gates(evaluation(**figures), rules, None, [])
    else:
        gates = evaluate_gates(evaluation(mean=baseline), rules, trial(estimate(time, 0.1), parameters, **figures), [])
    shared = mean - 1 > gain and -full <= loss and worst >= loss and max(-group, -2.0) <= loss
    beaten = baseline - 1 > gain and time <= rules.max_time_ratio and parameters <= 1
    assert is_promoted(gates) == (shared and (first or beaten))
    assert len(list_reasons(gates)) == sum(not gate.passed for gate in gates)


def test_the_record_of_a_gate_has_the_documented_keys_and_can_be_read_again() -> None:
    for gate in evaluate_gates(evaluation(seeds=1), RULES, trial(), []):
        record = gate.to_record()
        assert set(record.to_json()) == {"name", "value", "threshold", "passed", "interval", "note"}
        assert Gate.from_record(GateRecord.parse(record.to_json(), "x"), gate.reason) == gate
