"""What the flows and the command do after an ingestion: record, decide, and draw the history again."""

from dataclasses import dataclass

from sensorproof.artifacts import FIELD
from sensorproof.documents.field import FieldRecord, RetrainingDecision
from sensorproof.field.decision import decide_retraining
from sensorproof.field.history import read_history
from sensorproof.field.record import record_new
from sensorproof.reporting.field_page import write_field_history
from sensorproof.settings import Settings


@dataclass(frozen=True)
class FieldResult:
    """The records of the batches that had none yet, and whether to retrain."""

    new: list[FieldRecord]
    decision: RetrainingDecision


def follow_field(settings: Settings) -> FieldResult:
    """Record the batches that are not in the history yet, decide whether to retrain, and draw the history.

    Args:
        settings: all of params.yaml.

    Raises:
        SensorproofError: the registry, the champion or a batch cannot be read.
    """
    new = record_new(settings)
    decision = decide_retraining(settings)
    write_field_history(FIELD, read_history(settings), decision, settings.validation.drift.auc)
    return FieldResult(new, decision)


def describe(record: FieldRecord) -> str:
    """Describe a record in one line."""
    drift = record.drift.reason if record.drift else "has no training data to compare with"
    if record.champion is None:
        return f"{record.batch}: {drift}; {record.no_champion}"
    champion = record.champion
    expected = "" if champion.expected_confidence is None else f" (expected {champion.expected_confidence:.1%})"
    sensors = ", ".join(f"{name} {share:.1%}" for name, share in champion.alarms_by_sensor.items())
    alarms = f"alarms in {champion.alarms:.1%} of the frames{f' ({sensors})' if sensors else ''}"
    return f"{record.batch}: {drift}; champion version {champion.version}: confidence {champion.confidence:.1%}" + (
        f"{expected}, {alarms}"
    )
