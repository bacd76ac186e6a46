"""Read params.yaml into frozen typed settings. One message reports every fault in the file."""

from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from sensorproof.errors import SettingsError
from sensorproof.files import parse_yaml
from sensorproof.hashing import hash_json
from sensorproof.settings.compute import ComputeSettings
from sensorproof.settings.data import DataSettings, SplitSettings
from sensorproof.settings.evaluation import (
    BenchmarkDataset,
    CompareSettings,
    EvaluateSettings,
    PilotSettings,
    PromotionSettings,
    ReportSettings,
)
from sensorproof.settings.ingestion import ArchiveLimits, IngestionSettings
from sensorproof.settings.notifications import NotificationSettings
from sensorproof.settings.renamed import find_renamed
from sensorproof.settings.retraining import FineTuneSettings, RetrainingSettings
from sensorproof.settings.schedule import RetrainWhenSettings, ScheduleSettings
from sensorproof.settings.search import ChoiceSettings, PruningSettings, SearchSettings, SpaceSettings
from sensorproof.settings.strict_model import StrictModel, validate_document
from sensorproof.settings.training import (
    Arm,
    ModelSettings,
    MonitoringSettings,
    RegularizerSettings,
    Scale,
    Scales,
    TrainSettings,
    name_scales,
)
from sensorproof.settings.validation import (
    CalibrationChecks,
    ContentChecks,
    DriftChecks,
    HealthChecks,
    LabelChecks,
    PairTime,
    TimeChecks,
    ValidationSettings,
)

__all__ = [
    "ArchiveLimits",
    "Arm",
    "BenchmarkDataset",
    "CalibrationChecks",
    "ChoiceSettings",
    "CompareSettings",
    "ComputeSettings",
    "ContentChecks",
    "DataSettings",
    "DriftChecks",
    "EvaluateSettings",
    "FineTuneSettings",
    "HealthChecks",
    "IngestionSettings",
    "LabelChecks",
    "ModelSettings",
    "MonitoringSettings",
    "NotificationSettings",
    "PairTime",
    "PilotSettings",
    "PromotionSettings",
    "PruningSettings",
    "RegularizerSettings",
    "ReportSettings",
    "RetrainWhenSettings",
    "RetrainingSettings",
    "Scale",
    "Scales",
    "ScheduleSettings",
    "SearchSettings",
    "Settings",
    "SpaceSettings",
    "SplitSettings",
    "TimeChecks",
    "TrainSettings",
    "ValidationSettings",
    "load_settings",
    "name_scales",
    "parse_settings",
]


class Settings(StrictModel):
    """The whole of params.yaml."""

    data: DataSettings
    compute: ComputeSettings
    ingestion: IngestionSettings
    model: ModelSettings
    train: TrainSettings
    monitoring: MonitoringSettings
    regularizer: RegularizerSettings
    search: SearchSettings
    retraining: RetrainingSettings
    evaluate: EvaluateSettings
    report: ReportSettings
    compare: CompareSettings
    promotion: PromotionSettings
    validation: ValidationSettings
    schedule: ScheduleSettings
    notifications: NotificationSettings

    @model_validator(mode="after")
    def _compares_arms_that_train(self) -> Self:
        if missing := sorted({"baseline", self.promotion.candidate} - set(self.train.arms)):
            raise ValueError(f"train.arms lacks {missing}: the gain of promotion.candidate is over the baseline")
        return self

    @model_validator(mode="after")
    def _has_windows_within_images(self) -> Self:
        window, size = self.evaluate.window, self.data.size
        if window and (window[0] > size[0] or window[1] > size[1]):
            raise ValueError(f"evaluate.window is {window}, larger than the images of data.size, {size}")
        if window and self.evaluate.specialists:
            raise ValueError(
                "evaluate.specialists are scored on whole images: set it to false, or evaluate.window: null"
            )
        return self

    @model_validator(mode="after")
    def _searches_what_the_candidate_can_train(self) -> Self:
        space = self.search.space
        if self.promotion.candidate != "regularized_dropout" or not self.search.enabled:
            return self
        if set(space.variant) != {"single"} or set(space.estimator) != {"first_order"}:
            raise ValueError(
                "search.space: the candidate regularized_dropout has variant single and estimator first_order alone; "
                "leave out the others, or set promotion.candidate: regularized"
            )
        return self

    @model_validator(mode="after")
    def _tells_once_that_a_candidate_waits(self) -> Self:
        if self.promotion.notify and self.notifications.to and "waiting" in self.notifications.events:
            raise ValueError(
                "promotion.notify and notifications.to would both tell that a candidate waits; set one of them to null"
            )
        return self

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of all settings that can change a result: the `params.hash` tag."""
        return hash_json(self.model_dump(exclude={"compute", "ingestion", "schedule", "notifications"}))


def load_settings(path: str | Path = "params.yaml") -> Settings:
    """Read and validate params.yaml.

    Args:
        path: the file.

    Raises:
        SettingsError: the file is missing or not YAML, or keys are unknown, missing, renamed, of the wrong type or
            out of range. The one message names all of them.

    Examples:
        >>> from sensorproof import load_settings
        >>> settings = load_settings("params.yaml")
        >>> settings.train.arms[0], settings.regularizer.variant
        ('baseline', 'single')
    """
    path = Path(path)
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(path, "is missing", "run inside a Sensorproof project") from error
    except (OSError, ValueError) as error:
        raise SettingsError(path, f"is not YAML ({error})", "correct its syntax") from error
    return parse_settings(document, str(path))


def parse_settings(document: Any, where: str = "params.yaml") -> Settings:
    """Validate a params document that has already been read; see load_settings."""
    if renamed := find_renamed(document):
        raise SettingsError(where, f"uses old names: {'; '.join(renamed)}", "rename them")
    return validate_document(Settings, document, where, SettingsError)
