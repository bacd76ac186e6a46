"""The section `schedule`: when the flows run by themselves."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import Field, PositiveInt, field_validator

from sensorproof.settings.strict_model import StrictModel


class ScheduleSettings(StrictModel):
    """When the deployments of pipelines/deployments.py run."""

    retraining: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    """Cron, five fields."""
    timezone: str
    polling_s: PositiveInt
    """Seconds between two looks into the inbox."""

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no time zone, such as UTC or Asia/Tokyo")
        return value
