"""Reads the events of exports from the Prefect server, which keeps them for a week and is their queue."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient
from pydantic import ValidationError

from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from deployments.deliveries.delivery_queue import Delivery, delivery_id

PREFIX = ["itwin.export.", "itwin.batch."]
PAGE = 50
"""Events in one answer; the server gives no more."""

log = logging.getLogger("itwin.deliveries")


@dataclass(frozen=True)
class SavedWebhook:
    """A webhook as it is saved; events of before are not sent to it."""

    name: str
    created: datetime
    webhook: OutgoingWebhook


async def read_webhooks(client: PrefectClient) -> list[SavedWebhook]:
    """The saved blocks."""
    wanted = {"block_types": {"slug": {"any_": ["outgoing-webhook"]}}, "include_secrets": True}
    answer = await client.request("POST", "/block_documents/filter", json=wanted)
    documents = [one for one in answer.raise_for_status().json() if not one["is_anonymous"]]
    return [saved for saved in map(_saved, documents) if saved]


def _saved(document: Mapping[str, Any]) -> SavedWebhook | None:
    """The webhook of a block document; none if another release or program saved one that is invalid."""
    try:
        webhook = OutgoingWebhook.model_validate(document["data"])
    except ValidationError:
        log.warning("The block outgoing-webhook/%s is invalid and gets no events. Save it again.", document["name"])
        return None
    return SavedWebhook(str(document["name"]), datetime.fromisoformat(document["created"]), webhook)


async def read_events(client: PrefectClient, since: datetime) -> list[dict[str, Any]]:
    """The events of exports that occurred since a moment, oldest first."""
    wanted = {
        "event": {"prefix": PREFIX},
        "occurred": {"since": since.isoformat(), "until": (datetime.now(since.tzinfo) + timedelta(days=1)).isoformat()},
        "order": "ASC",
    }
    answer = await client.request("POST", "/events/filter", json={"filter": wanted, "limit": PAGE})
    page = answer.raise_for_status().json()
    found: list[dict[str, Any]] = list(page["events"])
    while page["next_page"]:
        answer = await client.request(
            "GET", "/events/filter/next", params={"page-token": page["next_page"].partition("page-token=")[2]}
        )
        page = answer.raise_for_status().json()
        found += page["events"]
    return found


def deliveries_of(events: list[dict[str, Any]], webhooks: list[SavedWebhook]) -> Iterator[Delivery]:
    """What each webhook is to get of these events."""
    for event in events:
        for saved in webhooks:
            if saved.webhook.wants(event["event"]) and datetime.fromisoformat(event["occurred"]) >= saved.created:
                key = delivery_id(event["id"], saved.name)
                yield Delivery(key, saved.name, event["resource"]["prefect.resource.id"], _body(event, key))


def _body(event: Mapping[str, Any], key: str) -> bytes:
    members = {
        "deliveryId": key,
        "eventId": event["id"],
        "eventType": event["event"],
        "occurred": event["occurred"],
        "content": event["payload"],
    }
    return json.dumps(members, ensure_ascii=False).encode()
