"""The section `notifications`: whom the Prefect server tells, and of what."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sensorproof.settings.strict_model import StrictModel, distinct

Happening = Literal["refused", "quarantined", "failed", "waiting", "promoted"]


class NotificationSettings(StrictModel):
    """Automations of the Prefect server; `make up` applies them."""

    to: Annotated[str, Field(pattern=r"^(https?://\S+|[a-z0-9-]+/[a-z0-9-]+)$")] | None
    """Address of a webhook, or TYPE/NAME of a notification block that Prefect has; None tells nobody."""
    events: Annotated[list[Happening], Field(min_length=1), AfterValidator(distinct)]
    """A batch or candidate refused, frames quarantined, a run failed, a candidate waiting for approval or promoted."""
