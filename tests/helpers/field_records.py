"""Records of ingested batches, made up."""

from sensorproof.documents.field import ChampionRecord, FieldRecord, SiteRecord
from sensorproof.documents.validation import DifferenceRecord, DriftRecord


def make_drift(auc: float | None, drifted: bool = False) -> DriftRecord:
    """A drift whose strongest difference is in the thermal mean."""
    strongest = (DifferenceRecord(sensor="thermal", statistic="mean", effect=3.1),)
    reason = "needs two sequences" if auc is None else "looks like the training data"
    return DriftRecord(
        auc=auc, effect=None, drifted=drifted, reason=reason, frames=24, training_frames=96, strongest=strongest
    )


def make_champion(version: int = 1, confidence: float = 0.8, alarms: float = 0.0) -> ChampionRecord:
    """Answers of a champion; all alarms are on the thermal camera."""
    return ChampionRecord(
        version=version,
        frames=24,
        confidence=confidence,
        expected_confidence=0.82,
        alarms=alarms,
        alarms_by_sensor={"thermal": alarms} if alarms else {},
    )


def make_record(
    batch: str,
    drift: DriftRecord | None = None,
    champion: ChampionRecord | None = None,
    no_champion: str = "there is no champion yet",
) -> FieldRecord:
    """One batch of one site."""
    site = SiteRecord(
        frames=24,
        distance=2.4,
        strongest=DifferenceRecord(sensor="thermal", statistic="mean", effect=-4.2),
        confidence=champion.confidence if champion else None,
        alarms=champion.alarms if champion else None,
    )
    return FieldRecord(
        time="2026-03-01T08:30:00+00:00",
        batch=batch,
        content=f"content of {batch}",
        frames=24,
        labelled=22,
        quarantined=2,
        drift=drift,
        champion=champion,
        no_champion="" if champion else no_champion,
        sites={"site-07": site},
    )
