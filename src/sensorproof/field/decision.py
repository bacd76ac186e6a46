"""Decide whether to retrain, by the rules of `schedule.retrain_when`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sensorproof.data.batch import read_batch
from sensorproof.documents.field import FieldRecord, RetrainingDecision
from sensorproof.field.champion import NO_CHAMPION, RegistryFacts, read_registry
from sensorproof.field.history import count_labelled, quarantined_frames, raw_batches, read_history
from sensorproof.settings import RetrainWhenSettings, Settings

_DAY_S = 86400.0
_Finding = tuple[bool, str]
"""Whether a rule holds, and what it found."""


def decide_retraining(settings: Settings) -> RetrainingDecision:
    """Decide whether to retrain now.

    Args:
        settings: all of params.yaml.

    Raises:
        SensorproofError: the registry or a batch cannot be read.
    """
    facts = read_registry()
    new = [
        name for name in raw_batches(settings) if facts.champion is None or name not in (facts.champion.batches or ())
    ]
    records = {record.batch: record for record in read_history(settings) if record.batch in new}
    return apply_rules(settings.schedule.retrain_when, facts, _count_frames(new, settings), [*records.values()])


def apply_rules(
    rules: RetrainWhenSettings,
    facts: RegistryFacts,
    new_frames: int,
    records: list[FieldRecord],
    now: datetime | None = None,
) -> RetrainingDecision:
    """Apply the rules to facts.

    Args:
        rules: which hold when.
        facts: of the registry.
        new_frames: labelled frames that the champion was not trained on.
        records: of the batches with these frames.
        now: the time; by default that of the clock.
    """
    champion = facts.champion
    if champion is None or champion.batches is None:
        said = NO_CHAMPION if champion is None else f"champion version {champion.version} does not say what it saw"
        version = None if champion is None else champion.version
        return RetrainingDecision(retrain=True, reasons=(said,), champion=version, new_frames=None)
    found = [
        *_frames_rule(rules, new_frames, champion.version),
        *_drift_rule(rules, records),
        *_alarms_rule(rules, records),
        *_days_rule(rules, facts.last_retraining, now or datetime.now(UTC)),
    ]
    retrain = any(holds for holds, _ in found)
    reasons = tuple(text for holds, text in found if holds == retrain)
    return RetrainingDecision(
        retrain=retrain,
        reasons=reasons or ("schedule.retrain_when has no rule",),
        champion=champion.version,
        new_frames=new_frames,
        notes=tuple(
            f"{record.batch}: no answers of the champion ({record.no_champion})"
            for record in records
            if record.no_champion not in ("", NO_CHAMPION)
        ),
    )


def _frames_rule(rules: RetrainWhenSettings, number: int, champion: int) -> Iterator[_Finding]:
    if rules.new_frames is not None:
        noun = "frame is" if number == 1 else "frames are"
        text = f"{number:,} labelled {noun} new since champion version {champion} (limit {rules.new_frames:,})"
        yield number >= rules.new_frames, text


def _drift_rule(rules: RetrainWhenSettings, records: list[FieldRecord]) -> Iterator[_Finding]:
    if rules.drifted_batches is not None:
        drifted = [record.batch for record in records if record.drift and record.drift.drifted]
        named = f": {' and '.join(drifted)}" if drifted else ""
        noun = "batch has" if len(drifted) == 1 else "batches have"
        text = f"{len(drifted)} new {noun} drifted (limit {rules.drifted_batches}){named}"
        yield len(drifted) >= rules.drifted_batches, text


def _alarms_rule(rules: RetrainWhenSettings, records: list[FieldRecord]) -> Iterator[_Finding]:
    if rules.alarms is None:
        return
    asked = [(record.champion.alarms, record.batch) for record in records if record.champion]
    if not asked:
        yield False, "no new batch has answers of the champion"
        return
    share, batch = max(asked)
    yield share >= rules.alarms, f"alarms in {share:.1%} of the frames of {batch} (limit {rules.alarms:.1%})"


def _days_rule(rules: RetrainWhenSettings, last: datetime | None, now: datetime) -> Iterator[_Finding]:
    if rules.days is not None and last is not None:
        days = (now - last).total_seconds() / _DAY_S
        yield days >= rules.days, f"{days:.1f} days since the last retraining (limit {rules.days:g})"


def _count_frames(names: list[str], settings: Settings) -> int:
    """Count labelled frames of batches, without those in quarantine."""
    held, raw = quarantined_frames(settings), Path(settings.data.raw)
    return sum(count_labelled(read_batch(raw / name), held.get(name, ())) for name in names)
