"""The rules that make a retraining due, one by one and together."""

from datetime import UTC, datetime, timedelta

import pytest

from helpers.field_records import make_champion, make_drift, make_record
from sensorproof.documents.field import FieldRecord, RetrainingDecision
from sensorproof.field.champion import Champion, RegistryFacts
from sensorproof.field.decision import apply_rules
from sensorproof.settings import RetrainWhenSettings

NOW = datetime(2026, 3, 8, tzinfo=UTC)
FACTS = RegistryFacts(Champion(2, frozenset({"base"}), 0.8), NOW - timedelta(days=7))
RECORDS = [
    make_record("calm", make_drift(0.55), make_champion(alarms=0.02)),
    make_record("harbour", make_drift(0.93, drifted=True), make_champion(alarms=0.3)),
]


def decide(
    facts: RegistryFacts = FACTS, frames: int = 40, records: list[FieldRecord] = RECORDS, **rules: float
) -> RetrainingDecision:
    none = {"new_frames": None, "drifted_batches": None, "alarms": None, "days": None}
    return apply_rules(RetrainWhenSettings.model_validate({**none, **rules}), facts, frames, records, NOW)


@pytest.mark.parametrize(
    ("rules", "retrain", "reason"),
    [
        ({"new_frames": 40}, True, "40 labelled frames are new since champion version 2 (limit 40)"),
        ({"new_frames": 41}, False, "40 labelled frames are new since champion version 2 (limit 41)"),
        ({"drifted_batches": 1}, True, "1 new batch has drifted (limit 1): harbour"),
        ({"drifted_batches": 2}, False, "1 new batch has drifted (limit 2): harbour"),
        ({"alarms": 0.3}, True, "alarms in 30.0% of the frames of harbour (limit 30.0%)"),
        ({"alarms": 0.31}, False, "alarms in 30.0% of the frames of harbour (limit 31.0%)"),
        ({"days": 7.0}, True, "7.0 days since the last retraining (limit 7)"),
        ({"days": 8.0}, False, "7.0 days since the last retraining (limit 8)"),
    ],
)
def test_each_rule_holds_from_its_limit_on(rules: dict[str, float], retrain: bool, reason: str) -> None:
    decision = decide(**rules)
    assert (decision.retrain, decision.reasons) == (retrain, (reason,))
    assert decision.describe() == f"{'retrain' if retrain else 'no retraining'}: {reason}"


def test_one_rule_is_enough_and_only_those_that_hold_are_the_reason() -> None:
    decision = decide(new_frames=500, drifted_batches=1, days=30.0)
    assert decision.retrain
    assert decision.reasons == ("1 new batch has drifted (limit 1): harbour",)


def test_no_rule_never_retrains_and_the_default_always_does() -> None:
    assert decide().reasons == ("schedule.retrain_when has no rule",)
    assert not decide().retrain
    assert decide(frames=0, records=[], new_frames=0).retrain


def test_without_a_champion_there_is_one_to_make() -> None:
    decision = decide(RegistryFacts(None, None), new_frames=10_000)
    assert decision.retrain
    assert (decision.reasons, decision.champion) == (("there is no champion yet",), None)


def test_a_champion_that_does_not_say_what_it_saw_is_replaced() -> None:
    decision = decide(RegistryFacts(Champion(1, None, None), NOW), new_frames=10_000)
    assert decision.retrain
    assert decision.reasons == ("champion version 1 does not say what it saw",)


def test_a_batch_that_the_champion_cannot_read_is_said() -> None:
    records = [make_record("other", make_drift(0.5), no_champion="classes differ from the model's"), make_record("old")]
    decision = decide(records=records, alarms=0.1)
    assert not decision.retrain
    assert decision.reasons == ("no new batch has answers of the champion",)
    assert decision.notes == ("other: no answers of the champion (classes differ from the model's)",)
    assert decision.describe().endswith("; other: no answers of the champion (classes differ from the model's)")
