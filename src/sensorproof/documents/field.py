"""What the field sends over time: a record for each ingested batch, and the decision whether to retrain."""

from sensorproof.documents.base import Document
from sensorproof.documents.validation import DifferenceRecord, DriftRecord


class SiteRecord(Document):
    """One site of a batch."""

    frames: int
    distance: float | None
    """How far its images are from those of the training sites, in standard deviations between these: the root mean
    square over all statistics, about 1 for a site like them. None with fewer than three training sites."""
    strongest: DifferenceRecord | None
    """The statistic that differs most, in the same unit."""
    confidence: float | None = None
    """As in ChampionRecord."""
    alarms: float | None = None


class ChampionRecord(Document):
    """The champion's answers to a batch, as it would give them in use: sensors that it finds failing are left out."""

    version: int
    frames: int
    """That it was asked about and answered."""
    confidence: float
    """Mean over frames and pixels, 0 to 1."""
    expected_confidence: float | None
    """Of its arm on the test split; None where that was not measured."""
    alarms: float
    """Share of the frames in which its monitor found a sensor failing."""
    alarms_by_sensor: dict[str, float]
    """{sensor: share}, of the sensors with an alarm."""


class FieldRecord(Document):
    """One ingested batch: its drift from the training data, and the champion's answers to it."""

    time: str
    """Of the record. ISO 8601, UTC."""
    batch: str
    content: str
    """As in the ledger of ingested batches: the same content is recorded once."""
    frames: int
    labelled: int
    """Frames with a label that are not in quarantine."""
    quarantined: int
    drift: DriftRecord | None
    """From the data that the champion was trained on; without a champion, from the batches before. None without any."""
    champion: ChampionRecord | None
    no_champion: str
    """Why there are no answers of a champion; empty if there are."""
    sites: dict[str, SiteRecord]


class RetrainingDecision(Document):
    """Whether to retrain now, by `schedule.retrain_when` in params.yaml."""

    retrain: bool
    reasons: tuple[str, ...]
    """Every rule that asks for it; if none does, how far each of them is from that."""
    champion: int | None
    """Version."""
    new_frames: int | None
    """Labelled frames since the champion's training; None without a champion, or if it does not say what it saw."""
    notes: tuple[str, ...] = ()
    """What the rules could not consider, such as batches that the champion cannot read."""

    def describe(self) -> str:
        """Return the decision in one line."""
        what = "retrain" if self.retrain else "no retraining"
        return "; ".join([f"{what}: {', '.join(self.reasons)}", *self.notes])
