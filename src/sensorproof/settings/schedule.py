"""The section `schedule`: when the flows run by themselves, and when they retrain."""

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from sensorproof.settings.strict_model import StrictModel


class RetrainWhenSettings(StrictModel):
    """When an ingestion or the nightly schedule starts a retraining: if any of these holds; None is no rule."""

    new_frames: NonNegativeInt | None
    """So many labelled frames since the champion's training; 0 always holds."""
    drifted_batches: PositiveInt | None
    """So many batches since then that differ from what it was trained on, by `validation.drift`."""
    alarms: Annotated[float, Field(gt=0, le=1)] | None
    """A batch since then in so large a share of whose frames the champion's monitor found a sensor failing."""
    days: PositiveFloat | None
    """So many days since the last retraining."""


class ScheduleSettings(StrictModel):
    """When the deployments of pipelines/deployments.py run."""

    retraining: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    """Cron, five fields."""
    timezone: str
    polling_s: PositiveInt
    """Seconds between two looks into the inbox."""
    newer: Literal["wait", "replace"]
    """What a retraining on a newer batch does while another one runs: wait for its end, or cancel it."""
    retrain_when: RetrainWhenSettings

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no time zone, such as UTC or Asia/Tokyo")
        return value
