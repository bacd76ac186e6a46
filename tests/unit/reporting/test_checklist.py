"""The pilot checklist: each item follows the run's figures and the thresholds of params.yaml."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.evaluations import evaluation_of_gain, make_silent
from helpers.report_fixtures import LIMITS, VERDICT, make_data, make_verdict
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import Evaluation, ValidationRecord
from sensorproof.documents.validation import DriftRecord
from sensorproof.reporting.checklist import Item, conclusion, pilot_checklist

PILOT = LIMITS.pilot.model_copy(update={"min_test_frames": 6, "min_test_sites": 1})
EASY = replace(LIMITS, pilot=PILOT)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Six test frames at a site of their own."""
    made = make_data(tmp_path_factory.mktemp("data") / "prepared")
    made.frames.loc[made.frames.split == "test", "site"] = "elsewhere"
    return made


def items(evaluation: Evaluation, verdict: ValidationRecord, data: PreparedDataset, limits=EASY) -> dict[str, Item]:
    sections = pilot_checklist(evaluation, verdict, data, limits)
    return {item.key: item for section in sections for item in section.items}


def test_a_good_run_has_no_item_against_a_field_test(data: PreparedDataset) -> None:
    verdict = make_verdict({"depth": ("aligned", "", 0.1), "thermal": ("aligned", "", 0.1)})
    evaluation = evaluation_of_gain(5.0, 4.0, 6.0).model_copy(update={"git_commit": "ab" * 20})
    found = items(evaluation, verdict, data)
    assert {key: item.state for key, item in found.items() if item.state == "no_go"} == {"silent": "no_go"}
    assert (
        found["silent"].found == "2 of 4 are short: camera moved by an eighth (1.5) and depth moved by an eighth (1.5)"
    )
    assert all(not item.action for item in found.values() if item.state == "go")
    assert all(item.action for item in found.values() if item.state != "go")


@pytest.mark.parametrize(
    ("key", "limits"),
    [
        ("test_frames", {"min_test_frames": 7}),
        ("test_sites", {"min_test_sites": 2}),
        ("seeds", {"min_seeds": 4}),
        ("silent", {"max_shortfall": 1.4}),
    ],
)
def test_a_threshold_decides(key: str, limits: dict[str, float], data: PreparedDataset) -> None:
    evaluation = evaluation_of_gain(5.0, 4.0, 6.0)
    lenient = replace(EASY, pilot=PILOT.model_copy(update={"max_shortfall": 2.0}))
    strict = replace(lenient, pilot=lenient.pilot.model_copy(update=limits))
    assert items(evaluation, VERDICT, data, lenient)[key].state == "go"
    assert items(evaluation, VERDICT, data, strict)[key].state == "no_go"


@pytest.mark.parametrize(
    ("pairs", "state"),
    [
        ({"depth": ("aligned", "", 0.1)}, "go"),
        ({"depth": ("aligned", "", 0.1), "lidar": ("unmeasurable", "", None)}, "open"),
        ({"depth": ("misaligned", "", 9.0), "lidar": ("unmeasurable", "", None)}, "no_go"),
        ({}, "open"),
    ],
)
def test_what_cannot_be_measured_is_open(pairs: dict, state: str, data: PreparedDataset) -> None:
    assert items(evaluation_of_gain(5.0, 4.0, 6.0), make_verdict(pairs), data)["alignment"].state == state


@pytest.mark.parametrize(("auc", "drifted", "state"), [(0.9, True, "no_go"), (0.6, False, "go"), (None, False, "open")])
def test_drift_is_open_until_a_batch_has_come(
    auc: float | None, drifted: bool, state: str, data: PreparedDataset
) -> None:
    assert items(evaluation_of_gain(5.0, 4.0, 6.0), VERDICT, data)["drift"].state == "open"
    record = DriftRecord(auc=auc, effect=None, drifted=drifted, reason="", frames=9, training_frames=9, strongest=())
    (batch,) = VERDICT.batches.values()
    verdict = ValidationRecord.of([batch.model_copy(update={"drift": record})])
    assert items(evaluation_of_gain(5.0, 4.0, 6.0), verdict, data)["drift"].state == state


def one_arm(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"arms": {"regularized": evaluation.arms["regularized"]}})


def without_silent(evaluation: Evaluation) -> Evaluation:
    arms = {name: arm.model_copy(update={"silent": None}) for name, arm in evaluation.arms.items()}
    return evaluation.model_copy(update={"arms": arms})


def one_seed(evaluation: Evaluation) -> Evaluation:
    return evaluation_of_gain(5.0, None, None, seeds=1)


@pytest.mark.parametrize(
    ("change", "key"), [(one_arm, "gates"), (without_silent, "silent"), (one_seed, "gain_baseline")]
)
def test_what_was_not_run_is_open(change: Callable[[Evaluation], Evaluation], key: str, data: PreparedDataset) -> None:
    assert items(change(evaluation_of_gain(5.0, 4.0, 6.0)), VERDICT, data)[key].state == "open"


def test_false_alarms_are_judged_by_the_limit_of_promotion(data: PreparedDataset) -> None:
    evaluation = evaluation_of_gain(5.0, 4.0, 6.0)
    arm = evaluation.arms["regularized"].model_copy(update={"silent": make_silent(alarms=2)})
    evaluation = evaluation.model_copy(update={"arms": evaluation.arms | {"regularized": arm}})
    assert items(evaluation, VERDICT, data)["false_alarms"].state == "no_go"


def test_people_decide_the_rest_and_the_conclusion_counts_it(data: PreparedDataset) -> None:
    sections = pilot_checklist(evaluation_of_gain(5.0, 4.0, 6.0), VERDICT, data, EASY)
    assert [item.state for item in sections[-1].items] == ["open"] * 5
    states = [item.state for section in sections for item in section.items]
    text = f"No-go: {states.count('no_go')} of {len(states)} items speak against a field test"
    assert conclusion(sections).startswith(text)


def test_a_condition_with_two_frames_is_named(data: PreparedDataset, tmp_path: Path) -> None:
    few = make_data(tmp_path / "prepared")
    few.frames.loc[few.frames.index[-2:], "condition"] = "霧"
    strict = replace(EASY, promotion=LIMITS.promotion.model_copy(update={"min_group_frames": 3}))
    item = items(evaluation_of_gain(5.0, 4.0, 6.0), VERDICT, few, strict)["conditions"]
    assert (item.state, item.found) == ("no_go", "too few: 霧")
