"""Documents are checked when they are read, and written as they were read."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from helpers.evaluations import make_comparison
from sensorproof.documents import Document, Evaluation, Gain, GateRecord, PromotionRecord, Summary
from sensorproof.documents.history import read_history, write_history
from sensorproof.errors import SensorproofError

STATISTIC = {"mean": 50.0, "std": 1.5}
ARM = {
    "seeds": [0, 1],
    **dict.fromkeys(("full", "mean", "worst", "spread"), STATISTIC),
    "subsets": {"camera": STATISTIC},
    "per_class": {"camera": {"road": 50.0, "sky": None}},
    "support": {"road": 10, "sky": 0},
    "parameters": 7,
    "train_seconds": 1.0,
}
GAIN = {"value": 1.0, "ci95": [0.5, 1.5]}


def evaluation(**changes: Any) -> dict[str, Any]:
    frames = {"train": 1, "val": 2, "test": 3, "quarantined": 0}
    data = {"batches": ["b"], "hash": "0.dir", "frames": frames, "classes": ["road"], "sensors": {"camera": "camera"}}
    data["trained_on"] = ["yard/1"]
    return {
        "data": data,
        "params_hash": "0",
        "git_commit": "0",
        "arms": {"baseline": ARM, "regularized_dropout": ARM},
        "gain": {"full": GAIN, "mean": GAIN, "worst": GAIN},
        "search": {"trials": 1, "best": {"strength": 0.1, "variant": "single"}},
        "comparison": make_comparison().to_json(),
        **changes,
    }


def test_a_document_is_written_as_it_was_read(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(evaluation()))
    Evaluation.read(first).write(second)
    assert json.loads(second.read_text()) == evaluation()


def test_a_summary_is_the_evaluation_and_the_decision() -> None:
    gate = GateRecord(name="complete", value=0.0, threshold=0.0, passed=True)
    decision = PromotionRecord(decision="promoted", model="sensorproof", version=1, gates=(gate,), reasons=())
    summary = Summary.combine(Evaluation.parse(evaluation(), "evaluation.json"), decision)
    assert summary.to_json() == {**evaluation(), "promotion": decision.to_json()}
    assert Summary.parse(summary.to_json(), "summary.json") == summary


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, "value: missing; ci95: missing"),
        ([], "document: Input should be an object"),
        ({**GAIN, "other": 1}, "other: unknown key"),
        ({**GAIN, "value": True}, "value: Input should be a valid number, got True"),
        ({**GAIN, "value": "1"}, "value: Input should be a valid number, got '1'"),
        ({**GAIN, "ci95": [1.0]}, "ci95.1: missing"),
    ],
)
def test_a_fault_is_one_line_with_file_fault_and_fix(document: Any, fault: str) -> None:
    with pytest.raises(SensorproofError) as error:
        Gain.parse(document, "gain.json")
    assert str(error.value).startswith(f"gain.json: {fault}")
    assert str(error.value).endswith("; run `dvc repro`")


def test_of_many_faults_the_first_are_named() -> None:
    with pytest.raises(SensorproofError, match=r"data: missing; .*; and 2 more; run"):
        Evaluation.parse({}, "evaluation.json")


def test_numbers_may_be_nan_or_infinite_but_are_not_written(tmp_path: Path) -> None:
    gain = Gain.parse({"value": math.nan, "ci95": [-math.inf, None]}, "gain.json")
    assert math.isnan(gain.value)
    assert gain.ci95 == (-math.inf, None)
    with pytest.raises(ValueError, match="not JSON compliant"):
        gain.write(tmp_path / "gain.json")
    assert list(tmp_path.iterdir()) == []


def test_names_of_earlier_versions_are_replaced() -> None:
    best = {"strength": 0.1, "form": "single", "fraction": 1.0, "every": 1, "weigh": True, "dropped": 3}
    old = evaluation(arms={"baseline": ARM, "default": ARM}, search={"trials": 1, "best": best})
    read = Evaluation.parse(old, "evaluation.json")
    assert list(read.arms) == ["baseline", "regularized_dropout"]
    assert list(read.search.best) == [
        *("strength", "variant", "batch_fraction", "every_n_steps", "relevance_weighting", "dropped")
    ]


def test_documents_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Gain.parse(GAIN, "gain.json").value = 2.0  # type: ignore[misc]
    assert issubclass(Gain, Document)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [{"step": 10, "loss": 1.5}, {"step": 20, "loss": 0.1 + 0.2, "information/prediction/camera": 2.0}]
    write_history(tmp_path / "history.csv", rows)
    assert (tmp_path / "history.csv").read_text().splitlines()[:2] == [
        "step,loss,information/prediction/camera",
        "10,1.5,",
    ]
    assert read_history(tmp_path / "history.csv") == rows


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,loss\n10,low\n", "step,loss\n10,1,2\n"])
def test_what_is_not_a_history_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(SensorproofError, match=r"history\.csv: is no training history"):
        read_history(path)
    with pytest.raises(SensorproofError, match=r"gone\.csv: is no training history"):
        read_history(tmp_path / "gone.csv")
