"""What a retraining starts from, and what it leaves out: artifacts/champion and the part of the evaluation on it."""

from typing import Self

from sensorproof.documents.base import Document
from sensorproof.documents.comparison import HoldoutRecord
from sensorproof.documents.optional import OmitsNone
from sensorproof.settings import FineTuneSettings, RegularizerSettings
from sensorproof.settings.data import Standardization


class ChampionStart(OmitsNone):
    """The champion whose weights the candidate starts from."""

    version: int
    model_sha256: str
    """Hash of its model folder, which was checked."""
    arm: str
    regularizer: RegularizerSettings
    class_balance: float
    """With these two the champion was trained, and the candidate is fine-tuned."""
    standardize: dict[str, Standardization] | None = None
    """{sensor: how its inputs are standardised}: as the champion's."""
    trained_on: tuple[str, ...]
    """The sequences whose frames the champion has been trained on, as site/sequence."""


class RetrainingStart(OmitsNone):
    """artifacts/champion/champion.json; the model folder lies beside it."""

    champion: ChampionStart | None = None
    """None: every arm is trained from scratch."""
    fine_tune: FineTuneSettings | None = None
    """How the candidate goes on from there."""


class SkippedArm(Document):
    """artifacts/train/<arm>/skipped.json, in place of trainings."""

    reason: str


class FineTuning(Document):
    """Of an evaluation: the candidate was fine-tuned, and there is no baseline to compare it with."""

    champion: int
    """The version it started from."""
    model_sha256: str
    class_balance: float
    skipped: tuple[str, ...]
    """The arms that were not trained."""
    holdout: HoldoutRecord

    @classmethod
    def of(cls, start: ChampionStart, skipped: tuple[str, ...], holdout: HoldoutRecord) -> Self:
        """Say what became of a start."""
        return cls(
            champion=start.version,
            model_sha256=start.model_sha256,
            class_balance=start.class_balance,
            skipped=skipped,
            holdout=holdout,
        )

    def describe(self) -> str:
        """Say in a line what was done and what was not."""
        return (
            f"fine-tuned from champion version {self.champion} and compared with the champion alone; skipped: search, "
            f"{', '.join(self.skipped)}, comparison with the baseline (retraining.mode is fine_tune)"
        )
