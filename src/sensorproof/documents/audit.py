"""audit.json: how a model, ours or not, depends on its sensors; scores in mIoU points (0 to 100)."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from sensorproof.documents.base import Document

Interval = tuple[float | None, float | None]
GIVEN: Final = "given"
"""The key of the score that is expected with the probabilities that the user gave."""


class CaseScore(Document):
    """The score of one case."""

    score: float | None
    """None if the model gave no answer that can be scored."""
    reason: str = ""
    """Why there is no score, in a few words."""
    interval: Interval = (None, None)
    """Of the score, over the frames; the ends are None where there is one unit of them."""


class BrokenSensor(Document):
    """One sensor broken in every frame, all sensors given to the model, and the model believes it."""

    noise: dict[str, CaseScore]
    """{low, mid, high}: salt and pepper and Gaussian noise; see `evaluation.noisy_modality`."""
    failures: dict[str, CaseScore]
    """By the name of the failure; see `evaluation.failures`."""
    degradations: dict[str, dict[str, CaseScore]] = Field(default_factory=dict)
    """{degradation: {severity: score}}; see `evaluation.degradations`."""


class AuditRecord(Document):
    """The content of audit.json."""

    fix: ClassVar[str] = "run `sensorproof audit` again"
    version: str
    """Of Sensorproof."""
    model: str
    """As it was given."""
    kind: str
    """What it is, in a few words."""
    batch: str
    split: str | None
    """Only frames of this split were scored; None for all."""
    frames: int
    """Labelled frames that were scored."""
    sensors: tuple[str, ...]
    """Sorted."""
    missing: Literal["drop", "zero", "mean"]
    """How a missing sensor was presented."""
    missing_reason: str
    """Why it was not left out, if that was found out by trying; else empty."""
    full: float | None
    """With all sensors; None if that has no score."""
    mean: float
    """Unweighted mean over the subsets that have a score."""
    worst: float
    """Of the worst of these."""
    spread: float
    """Standard deviation over these."""
    expected: dict[str, float]
    """{probability that a sensor fails, or GIVEN: expected score}; empty if a subset has no score."""
    failure_probability: dict[str, float] = Field(default_factory=dict)
    """{sensor: its probability}, as GIVEN; empty if none was given."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """Of full, mean and worst, over the frames; what has no score is left out."""
    confidence: float = 0.95
    """Of all intervals."""
    units: Literal["frames", "sequences"] = "frames"
    """What the bootstrap drew."""
    drawn: int = 0
    """How many of them there are."""
    subsets: dict[str, CaseScore]
    """Every subset, larger ones last."""
    per_class: dict[str, dict[str, float | None]]
    """{subset: {class: IoU}}; None for a class that the ground truth does not have."""
    support: dict[str, int]
    """{class: pixels in the ground truth}."""
    broken: dict[str, BrokenSensor]
    """By sensor; empty if no sensor was broken."""
    rmm: dict[str, dict[str, CaseScore]] = Field(default_factory=dict)
    """{r: {sound sensors: score}}: each other sensor has a value set to its mean with probability r."""
    seed: int
    """Of all noise and failures."""

    @property
    def failed(self) -> dict[str, str]:
        """{subset without a score: reason}."""
        return {name: case.reason for name, case in self.subsets.items() if case.score is None}

    def absent(self, sensor: str) -> CaseScore | None:
        """Return the score without a sensor that is declared absent; None if it is the only one."""
        return self.subsets.get("+".join(name for name in self.sensors if name != sensor))

    def loss(self, score: float | None) -> float | None:
        """Return how far a score lies below that with all sensors; None where one of them is not known."""
        return None if score is None or self.full is None else self.full - score
