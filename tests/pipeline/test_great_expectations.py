"""The contract of the adapter, whatever the release of Great Expectations: violations of the rules by row."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.fault_batches import quarantined_ids, shift_images, validated
from helpers.synthetic_scenes import broken_rules, checks, settings
from sensorproof.adapters import great_expectations as adapter
from sensorproof.adapters.great_expectations import check_expectations, describe
from sensorproof.alignment.decision.rules import Rule, make_rules, suite_name
from sensorproof.errors import SensorproofError
from sensorproof.validation import validate_batch

RULES = [
    Rule("deviation_px", "at_most", 1.0, "critical", "frame", "is displaced"),
    Rule("deviation_px", "below", 2.0, "warning", "frame", "is displaced further"),
    Rule("scene_change", "at_least", -1.0, "critical", "frame", "changes too little"),
    Rule("scene_change", "above", 0.0, "warning", "frame", "does not change"),
    Rule("deviation_px", "within", 0.0, "critical", "frame", "is above its limit", other="deviation_limit_px"),
    Rule("image_change", "unless_still", 0.5, "critical", "frame", "is frozen", other="scene_change", other_limit=0.25),
    Rule("time_unit", "at_most", 0.0, "critical", "batch", "times are not in seconds"),
]


def columns_of(rules: list[Rule]) -> list[str]:
    """The measures that rules are on."""
    return sorted({c for r in rules for c in (r.column, r.other) if c})


def make_table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Measures on, above and below every limit, some of them missing."""
    rng = np.random.default_rng(seed)
    values = np.array([-2, -1, -0.5, 0, 0.25, 0.5, 1, 2, 3, np.nan])
    table = pd.DataFrame({c: rng.choice(values, rows) for c in ("deviation_px", "image_change", "scene_change")})
    table["deviation_limit_px"] = rng.choice([0.5, 1, np.nan], rows)
    table["sensor"] = np.resize(["camera", "depth", "label"], rows)
    table["time_unit"] = table.sensor.map({"camera": 0.0, "depth": 1.0, "label": np.nan})
    table["frame_id"] = [f"f{k // 3}" for k in range(rows)]
    table.index = pd.Index(rng.permutation(rows) + 1000)
    return table


def violations(broken: pd.DataFrame) -> list[tuple[int, int]]:
    """Sorted pairs of a rule and a row that breaks it."""
    return sorted(zip(broken.rule.astype(int), broken.row.astype(int), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_exactly_the_rows_that_break_a_rule_are_reported(seed: int) -> None:
    rows = make_table(120, seed)
    results = check_expectations(rows, RULES, "contract")
    assert violations(results.broken) == violations(broken_rules(rows, RULES))
    assert len(results.broken) > 50
    assert not results.success


def test_rows_without_values_abstain() -> None:
    rows = make_table(30).assign(**dict.fromkeys(columns_of(RULES), np.nan))
    results = check_expectations(rows, RULES, "contract")
    assert results.broken.empty
    assert results.success


def test_the_suite_carries_severities_and_numbers() -> None:
    suite = check_expectations(make_table(9), RULES, "contract-v1").suite
    assert suite["name"] == "contract-v1"
    entries = sorted(suite["expectations"], key=lambda e: e["meta"]["rule"])
    assert [e["severity"] for e in entries] == [r.severity for r in RULES]
    assert [e["meta"]["scope"] for e in entries] == [r.scope for r in RULES]
    assert json.dumps(suite) == json.dumps(check_expectations(make_table(12), RULES, "contract-v1").suite)


def test_an_expectation_that_cannot_be_evaluated_is_an_error() -> None:
    rows = make_table(9)
    rows["deviation_px"] = "text"
    with pytest.raises(RuntimeError, match="did not run"):
        check_expectations(rows, RULES[:1], "contract")


def test_the_rules_of_the_project_are_reported_exactly_too() -> None:
    rules = make_rules(checks())
    rng = np.random.default_rng(0)
    rows = make_table(60)
    for column in columns_of(rules):
        rows[column] = rng.choice([-5.0, 0.0, 0.001, 0.5, 0.97, 1, 2, 5, 1000, np.nan], len(rows))
    results = check_expectations(rows, rules, suite_name(checks()))
    assert violations(results.broken) == violations(broken_rules(rows, rules))


def test_a_faulty_batch_is_judged_as_other_tests_judge_it(batch: Path) -> None:
    shift_images(batch, range(3, 6), 8)
    (batch / "other/9.png").unlink()
    ours = validated(batch, record=False)
    assert validate_batch(batch, settings(), record=False).record() == ours.record()
    assert len(quarantined_ids(ours)) == 4


def test_without_great_expectations_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(SensorproofError) as error:
        check_expectations(make_table(9), RULES, "contract")
    assert str(error.value) == ('validation: great_expectations is not installed; pip install "sensorproof[pipeline]"')


def test_data_docs_need_no_network(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    check_expectations(make_table(60), RULES, "contract", docs)
    pages = sorted(docs.rglob("*.html"))
    assert {p.relative_to(docs).parts[0] for p in pages} == {"index.html", "expectations", "validations"}
    for page in pages:
        text = page.read_text()
        assert not re.search(r"<script\b", text), page
        assert not re.search(r"<(?:link|img|iframe|source)\b[^>]*(?:href|src)=[\"'](?:https?:)?//", text), page
        assert not re.search(r"@import|url\([\"']?(?:https?:)?//", text), page
        assert "<style>" in text
    result = next(p for p in pages if "validations" in p.parts).read_text()
    for rule in RULES:
        assert describe(rule).split(". Broken: ")[1] in result
    index = (docs / "index.html").read_text()
    for target in re.findall(r'href="([^"]+)"', index):
        assert (docs / target).is_file(), target


def test_data_docs_are_replaced_whole(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "old.html").write_text("old")
    check_expectations(make_table(9), RULES, "contract", docs)
    assert not (docs / "old.html").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["docs"]


def test_data_docs_that_fail_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(adapter, "make_offline", fail)
    with pytest.raises(OSError, match="no space left"):
        check_expectations(make_table(9), RULES, "contract", tmp_path / "docs")
    assert list(tmp_path.iterdir()) == []
