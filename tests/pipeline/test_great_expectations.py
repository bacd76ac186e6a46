"""What the adapter promises whatever the release of Great Expectations: the verdict of the rules, row by row."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import broken, checks
from sensorproof.adapters import great_expectations as adapter
from sensorproof.adapters.great_expectations import check_expectations, describe
from sensorproof.alignment.decision.rules import Rule, make_rules, suite_name

RULES = [
    Rule("a", "at_most", 1.0, "critical", "frame", "a is large"),
    Rule("a", "below", 2.0, "warning", "frame", "a is larger"),
    Rule("b", "at_least", -1.0, "critical", "frame", "b is small"),
    Rule("b", "above", 0.0, "warning", "frame", "b is not above"),
    Rule("a", "within", 0.0, "critical", "frame", "a is beyond its limit", other="limit"),
    Rule("a", "unless_still", 0.5, "critical", "frame", "a is still", other="b", other_limit=0.25),
    Rule("whole", "at_most", 0.0, "critical", "batch", "the batch is at fault"),
]


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Values on, above and below every limit, many of them missing."""
    rng = np.random.default_rng(seed)
    values = np.array([-2, -1, -0.5, 0, 0.25, 0.5, 1, 2, 3, np.nan])
    frame = pd.DataFrame({c: rng.choice(values, rows) for c in ("a", "b")})
    frame["limit"] = rng.choice([0.5, 1, np.nan], rows)
    frame["sensor"] = np.resize(["camera", "depth", "label"], rows)
    frame["whole"] = frame.sensor.map({"camera": 0.0, "depth": 1.0, "label": np.nan})
    frame["frame_id"] = [f"f{k // 3}" for k in range(rows)]
    frame.index = pd.Index(rng.permutation(rows) + 1000)
    return frame


def pairs(found: pd.DataFrame) -> list[tuple[int, int]]:
    return sorted(zip(found.rule.astype(int), found.row.astype(int), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_exactly_the_rows_that_break_a_rule_are_reported(seed: int) -> None:
    rows = table(120, seed)
    found = check_expectations(rows, RULES, "contract")
    assert pairs(found.broken) == pairs(broken(rows, RULES))
    assert len(found.broken) > 50
    assert not found.success


def test_rows_without_values_abstain() -> None:
    rows = table(30).assign(a=np.nan, b=np.nan, whole=np.nan)
    found = check_expectations(rows, RULES, "contract")
    assert found.broken.empty
    assert found.success


def test_the_suite_carries_severities_and_numbers() -> None:
    suite = check_expectations(table(9), RULES, "contract-v1").suite
    assert suite["name"] == "contract-v1"
    entries = sorted(suite["expectations"], key=lambda e: e["meta"]["rule"])
    assert [e["severity"] for e in entries] == [r.severity for r in RULES]
    assert [e["meta"]["scope"] for e in entries] == [r.scope for r in RULES]
    assert json.dumps(suite) == json.dumps(check_expectations(table(12), RULES, "contract-v1").suite)


def test_an_expectation_that_cannot_be_evaluated_is_no_success() -> None:
    rows = table(9)
    rows["a"] = "text"
    with pytest.raises(RuntimeError, match="did not run"):
        check_expectations(rows, RULES[:1], "contract")


def test_the_projects_own_rules_agree_too() -> None:
    rules = make_rules(checks())
    rng = np.random.default_rng(0)
    rows = table(60)
    for column in {c for r in rules for c in (r.column, r.other) if c}:
        rows[column] = rng.choice([-5.0, 0.0, 0.001, 0.5, 0.97, 1, 2, 5, 1000, np.nan], len(rows))
    found = check_expectations(rows, rules, suite_name(checks()))
    assert pairs(found.broken) == pairs(broken(rows, rules))


def test_data_docs_need_nothing_from_the_net(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    check_expectations(table(60), RULES, "contract", docs)
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
    check_expectations(table(9), RULES, "contract", docs)
    assert not (docs / "old.html").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["docs"]


def test_nothing_is_left_where_data_docs_could_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(adapter, "make_offline", fail)
    with pytest.raises(OSError, match="no space left"):
        check_expectations(table(9), RULES, "contract", tmp_path / "docs")
    assert list(tmp_path.iterdir()) == []
