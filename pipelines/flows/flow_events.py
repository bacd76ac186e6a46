"""Events that the flows send to the Prefect server; the automations of `notifications` wait for them."""

from typing import Literal

from prefect.events import emit_event

Kind = Literal["refused", "quarantined", "waiting", "promoted"]


def send(kind: Kind, about: str, text: str) -> None:
    """Send `sensorproof.<kind>`, with the text for people in its payload.

    Args:
        kind: what has happened.
        about: the batch or the model version.
        text: one line.
    """
    resource = {"prefect.resource.id": f"sensorproof.{about}".replace(" ", "-"), "prefect.resource.name": about}
    emit_event(f"sensorproof.{kind}", resource, payload={"text": text})
