"""The rules: each on a registered measure, with a consequence and a reason; the suite is named by its rules."""

import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.rules import Rule, make_rules, suite_name


@pytest.mark.parametrize("column", ["deviation", "lost"])
def test_a_rule_on_an_unknown_measure_is_an_error(column: str) -> None:
    with pytest.raises(ValueError, match=f"'{column}', which is not a measure"):
        Rule(column, "at_most", 0, "critical", "frame", "is displaced")
    with pytest.raises(ValueError, match=f"'{column}', which is not a measure"):
        Rule("deviation_px", "within", 0, "critical", "frame", "is displaced", other=column)


def test_every_severity_and_scope_has_a_rule_and_every_rule_a_reason() -> None:
    rules = make_rules(checks())
    assert {(r.scope, r.severity) for r in rules} == {
        (s, v) for s in ("frame", "batch") for v in ("critical", "warning")
    }
    assert all(r.reason for r in rules)
    assert len({(r.column, r.severity, r.other) for r in rules}) == len(rules)


def test_the_name_of_the_suite_follows_its_rules() -> None:
    stricter = checks().model_copy(update={"health": checks().health.model_copy(update={"saturated": 0.9})})
    assert suite_name(checks()) == suite_name(checks().model_copy())
    assert suite_name(stricter) != suite_name(checks())
    assert suite_name(stricter).split("-")[:2] == suite_name(checks()).split("-")[:2]
    not_a_rule = checks().model_copy(update={"contact_sheet_frames": 1})
    assert suite_name(not_a_rule) == suite_name(checks())
