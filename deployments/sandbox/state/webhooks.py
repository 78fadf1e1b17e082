"""Subscriptions, and what is delivered to them."""

import hmac
import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

import httpx

from deployments.sandbox.clock import Clock
from deployments.sandbox.state.options import Options

DELIVERIES_KEPT = 10_000


@dataclass(slots=True)
class Webhook:
    """A subscription of one service application."""

    id: str
    owner: str
    callback_url: str
    scope: str
    scope_id: str | None
    secret: str
    event_types: list[str]
    created_at: datetime
    modified_at: datetime
    active: bool = False


@dataclass(slots=True)
class Delivery:
    """One message to one webhook; `statuses` has the status of each attempt, 0 for no answer."""

    webhook: Webhook
    message_id: str
    event_type: str
    body: bytes
    statuses: list[int] = field(default_factory=list[int])

    @property
    def signature(self) -> str:
        """The value of the header `Signature`: the hex HMAC of the raw body."""
        return "sha256=" + hmac.new(self.webhook.secret.encode(), self.body, "sha256").hexdigest()


class Webhooks:
    """Every subscription; deliveries are sent from a thread, in order."""

    def __init__(self, clock: Clock, options: Options) -> None:
        self._clock = clock
        self._options = options
        self._delivery_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="webhooks")
        self.known: dict[str, Webhook] = {}
        self.deliveries: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)

    def notify(self, event_type: str, itwin_id: str, content: dict[str, str]) -> None:
        """Deliver an event of an iTwin to every active webhook that subscribed to it."""
        for webhook in list(self.known.values()):
            in_scope = webhook.scope == "Account" or webhook.scope_id == itwin_id
            if webhook.active and in_scope and event_type in webhook.event_types:
                self._send(self._write(webhook, event_type, itwin_id, content))

    def repeat(self, message_id: str) -> int:
        """Send a message once more, unchanged; returns the number of webhooks."""
        found = [delivery for delivery in list(self.deliveries) if delivery.message_id == message_id]
        for delivery in found:
            self._send(delivery)
        return len(found)

    def close(self) -> None:
        """Wait until everything is delivered or given up; nothing is sent afterwards."""
        self._delivery_pool.shutdown()

    def _write(self, webhook: Webhook, event_type: str, itwin_id: str, content: dict[str, str]) -> Delivery:
        message_id = str(uuid4())
        now = self._clock.now()
        body = {
            "content": content,
            "eventType": event_type,
            "enqueuedDateTime": f"{now.month}/{now.day}/{now.year} {now:%I:%M:%S %p}",
            "iTwinId": itwin_id,
            "messageId": message_id,
            "webhookId": webhook.id,
        }
        delivery = Delivery(webhook, message_id, event_type, json.dumps(body).encode())
        self.deliveries.append(delivery)
        return delivery

    def _send(self, delivery: Delivery) -> None:
        self._delivery_pool.submit(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        for attempt in range(self._options.webhook_attempts):
            if attempt:
                time.sleep(self._options.webhook_retry_seconds)
            status = self._post(delivery)
            delivery.statuses.append(status)
            if 200 <= status < 300:
                return

    def _post(self, delivery: Delivery) -> int:
        headers = {"Content-Type": "application/json", "Signature": delivery.signature}
        timeout = self._options.webhook_patience_seconds
        try:
            return httpx.post(
                delivery.webhook.callback_url, content=delivery.body, headers=headers, timeout=timeout
            ).status_code
        except httpx.HTTPError:
            return 0
