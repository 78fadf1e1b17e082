"""What the Prefect server shows of deliveries: an artifact with those that wait, an event for each given up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from prefect.client.orchestration import PrefectClient

from deployments.deliveries.delivery_queue import Delivery, WaitingDeliveries
from tasks.markdown import document, table, text

FAILED_EVENT = "itwin.delivery.failed"
ARTIFACT = "itwin-webhooks"
_NAMESPACE = UUID("5a2f0d6e-58bb-5d8b-9d0e-8a4a3c1f7b11")


def failed_event(delivery: Delivery) -> dict[str, Any]:
    """The event about a delivery that was given up, as the server takes it; always with the same id."""
    payload = {
        "webhook": delivery.block,
        "delivery_id": delivery.id,
        "subject": delivery.subject,
        "attempts": delivery.attempts + 1,
        "error": delivery.error,
    }
    return {
        "id": str(uuid5(_NAMESPACE, delivery.id)),
        "occurred": datetime.now(UTC).isoformat(),
        "event": FAILED_EVENT,
        "resource": {"prefect.resource.id": f"itwin.webhook.{delivery.block}", "prefect.resource.name": delivery.block},
        "related": [{"prefect.resource.id": delivery.subject, "prefect.resource.role": "subject"}],
        "payload": payload,
    }


async def show_waiting(client: PrefectClient, waiting: Sequence[WaitingDeliveries], shown: str) -> str:
    """Write the artifact, if something else waits or fails than is shown; returns what is shown now."""
    signature = repr([(one.block, one.error) for one in waiting])
    if signature == shown or not (waiting or shown):
        return shown
    artifact = {"key": ARTIFACT, "type": "markdown", "description": _summary(waiting), "data": _page(waiting)}
    await client.request("POST", "/artifacts/", json=artifact)
    return signature


def _summary(waiting: Sequence[WaitingDeliveries]) -> str:
    return "; ".join(f"{one.block}: {one.count} waiting ({one.error})" for one in waiting) or "Nothing waits."


def _page(waiting: Sequence[WaitingDeliveries]) -> str:
    rows = [
        [
            text(one.block),
            str(one.count),
            f"{datetime.fromtimestamp(one.since, UTC):%Y-%m-%d %H:%M} UTC",
            text(one.error),
        ]
        for one in waiting
    ]
    return document(
        "# Outgoing webhooks",
        table(["Webhook", "Waiting", "Since", "Last failure"], rows) if rows else "Nothing waits.",
        "A delivery is tried for a day; then the event `itwin.delivery.failed` tells of it." if rows else "",
    )
