"""Record what the field sends: for each ingested batch its drift, and the champion's answers to it, once."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sensorproof.alignment.drift import measure_drift
from sensorproof.alignment.known_statistics import Measuring, known_statistics
from sensorproof.alignment.site_drift import SiteDistance, site_distances
from sensorproof.alignment.training_statistics import training_statistics
from sensorproof.data.batch import Batch, read_batch
from sensorproof.documents.field import ChampionRecord, FieldRecord, SiteRecord
from sensorproof.documents.lines import append_line
from sensorproof.documents.validation import DriftRecord
from sensorproof.errors import BatchError
from sensorproof.field.champion import ADDRESS, NO_CHAMPION, Champion, read_registry
from sensorproof.field.history import count_labelled, quarantined_frames, unrecorded
from sensorproof.ingestion.ledger import LedgerEntry, now
from sensorproof.locks import locked
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.field.answers import Answer
    from sensorproof.serving.predictor import Predictor

_LOCK = "field-history"


def record_new(settings: Settings) -> list[FieldRecord]:
    """Record every batch of the ledger that is not in the history yet, and return the new records.

    A process that is killed leaves whole records; the next call makes up for the others. Batches that were removed
    from the raw data are passed over.

    Args:
        settings: all of params.yaml.

    Raises:
        SensorproofError: the registry, the champion or a batch cannot be read. Records before stay.
    """
    with locked(_LOCK):
        waiting = unrecorded(settings)
        if not waiting:
            return []
        champion = read_registry().champion
        predictor = _load(champion, settings) if champion else None
        records = []
        for entry, before in waiting:
            records.append(_record(entry, before, champion, predictor, settings))
            append_line(Path(settings.ingestion.history), records[-1])
        return records


def _load(champion: Champion, settings: Settings) -> "Predictor":
    """Fetch the champion. Its libraries load slowly, so only where there is one."""
    from sensorproof.loading import load_model

    return load_model(f"{ADDRESS}/{champion.version}", settings.train.device)


def _record(
    entry: LedgerEntry,
    before: Collection[str],
    champion: Champion | None,
    predictor: "Predictor | None",
    settings: Settings,
) -> FieldRecord:
    """Measure one batch."""
    batch = read_batch(Path(settings.data.raw) / entry.batch)
    trained_on = before if champion is None or champion.batches is None else champion.batches
    held = quarantined_frames(settings)
    how, most = Measuring(settings.compute.workers), settings.validation.drift.max_frames
    left_out = {(name, frame) for name, frames in held.items() for frame in frames}
    training = training_statistics(batch, settings.data, most, left_out, how, trained_on)
    statistics = known_statistics(batch, range(len(batch.frames)), how)
    drift: DriftRecord | None = None
    distances: dict[str, SiteDistance] = {}
    if training is not None and not statistics.empty:
        drift = measure_drift(statistics, training, settings.validation.drift)
        distances = site_distances(statistics, training)
    answers, reason = _answers(predictor, batch, most)
    own = held.get(batch.name, set()) & set(batch.frames.frame_id)
    return FieldRecord(
        time=now(),
        batch=batch.name,
        content=entry.content,
        frames=len(batch.frames),
        labelled=count_labelled(batch, own),
        quarantined=len(own),
        drift=drift,
        champion=_summary(answers, champion) if answers and champion else None,
        no_champion="" if answers else reason,
        sites=_sites(batch, distances, answers),
    )


def _sites(batch: Batch, distances: Mapping[str, SiteDistance], answers: Sequence["Answer"]) -> dict[str, SiteRecord]:
    """Return what is known of each site."""
    by_site: dict[str, list[Answer]] = {str(site): [] for site in sorted(batch.frames.site.unique())}
    for answer in answers:
        by_site[answer.site].append(answer)
    frames = Counter(map(str, batch.frames.site))
    return {
        site: SiteRecord(
            frames=frames[site],
            distance=distances[site].distance if site in distances else None,
            strongest=distances[site].strongest if site in distances else None,
            confidence=_confidence(own) if own else None,
            alarms=_alarms(own) if own else None,
        )
        for site, own in by_site.items()
    }


def _answers(predictor: "Predictor | None", batch: Batch, most: int) -> tuple[list["Answer"], str]:
    """Return the champion's answers, and why there are none."""
    if predictor is None:
        return [], NO_CHAMPION
    from sensorproof.field.answers import ask

    try:
        return ask(predictor, batch, most), "no frame has a sensor that the champion can read"
    except BatchError as error:
        return [], error.fault


def _summary(answers: list["Answer"], champion: Champion) -> ChampionRecord:
    counts = Counter(sensor for answer in answers for sensor in answer.failing)
    return ChampionRecord(
        version=champion.version,
        frames=len(answers),
        confidence=_confidence(answers),
        expected_confidence=champion.expected_confidence,
        alarms=_alarms(answers),
        alarms_by_sensor={sensor: round(n / len(answers), 4) for sensor, n in sorted(counts.items())},
    )


def _confidence(answers: list["Answer"]) -> float:
    return round(float(np.mean([answer.confidence for answer in answers])), 4)


def _alarms(answers: list["Answer"]) -> float:
    return round(float(np.mean([bool(answer.failing) for answer in answers])), 4)
