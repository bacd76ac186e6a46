"""Who is told of what: a block of Prefect, and an automation for each kind of event that `notifications` names."""

from typing import NamedTuple
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import AutomationCore, EventTrigger
from prefect.events.actions import SendNotification
from prefect.exceptions import ObjectNotFound

from sensorproof.errors import UsageError
from sensorproof.settings import NotificationSettings

_PREFIX = "sensorproof: "
"""Of the names of our automations; others are left alone."""
_BLOCK = "sensorproof"
_FLOWS = ["retraining", "field-data"]
_FAILED = ["Failed", "Crashed", "Killed", "TimedOut"]
"""Names of states of runs; a refusal is none of them."""


class _Rule(NamedTuple):
    trigger: EventTrigger
    subject: str
    body: str


def apply(settings: NotificationSettings) -> list[str]:
    """Make our automations on the server those of params.yaml, and return their names; none where `to` is null.

    Raises:
        UsageError: `to` names a block that Prefect does not have.
    """
    with get_client(sync_client=True) as client:
        for automation in client.read_automations(limit=200):
            if automation.name.startswith(_PREFIX):
                client.delete_automation(automation.id)
        if settings.to is None:
            return []
        block = _find_block(client, settings.to)
        names = []
        for kind in settings.events:
            rule = _rule(kind)
            action = SendNotification(block_document_id=block, subject=rule.subject, body=rule.body)
            names.append(f"{_PREFIX}{kind}")
            client.create_automation(AutomationCore(name=names[-1], trigger=rule.trigger, actions=[action]))
    return names


def _rule(kind: str) -> _Rule:
    """Return when to tell, and what."""
    if kind == "failed":
        trigger = EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in _FAILED},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": _FLOWS},
        )
        return _Rule(
            trigger, "Sensorproof: failed", "{{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.message }}"
        )
    trigger = EventTrigger(expect={f"sensorproof.{kind}"}, match={"prefect.resource.id": "sensorproof.*"})
    return _Rule(trigger, f"Sensorproof: {kind}", "{{ event.payload.text }}")


def _find_block(client: SyncPrefectClient, to: str) -> UUID:
    """Return the id of the block that sends: one that is there already, or one for a webhook."""
    if to.startswith("http"):
        webhook = CustomWebhookNotificationBlock(
            name=_BLOCK, url=to, json_data={"text": "{{subject}}: {{body}}"}, headers=None, cookies=None
        )
        return UUID(str(webhook.save(_BLOCK, overwrite=True)))
    kind, name = to.split("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        fix = "make it on the page Blocks of the Prefect server, or give the address of a webhook"
        raise UsageError("notifications.to", f"the Prefect server has no block {to}", fix) from error
