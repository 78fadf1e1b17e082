"""The service that delivers the events of exports to outgoing webhooks."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient

from blocks.errors import ExportError
from blocks.prefect_server.look import look_once
from deployments.deliveries.delivery_queue import Delivery, DeliveryQueue, WaitingDeliveries
from deployments.deliveries.event_reader import SavedWebhook, deliveries_of, read_events, read_webhooks
from deployments.deliveries.report import failed_event, show_waiting
from deployments.deliveries.webhook_sender import send

LOOK_SECONDS = 5.0
SEND_SECONDS = 0.5
RECENT = timedelta(minutes=15)
"""How far back each look reads; events that reach the server later are found by the next whole look."""
WHOLE_LOOK_SECONDS = 600.0
OLDEST = timedelta(days=8)
"""Longer than an event may wait in the outbox of an export."""
MOST_AT_ONCE = 4
"""Deliveries on their way to one webhook; one that does not answer holds up no other webhook."""
DISK_SECONDS = 60.0
"""Pause of an iModel whose delivery cannot be noted: without it, the same would be sent again and again."""

log = logging.getLogger("itwin.deliveries")


class DeliveryService:
    """Reads the events of the Prefect server, and sends each to the webhooks that want it until they have taken it."""

    def __init__(self, queue: DeliveryQueue, clock: Callable[[], float] = time.time) -> None:
        self._queue, self._clock = queue, clock
        self._webhooks: dict[str, SavedWebhook] = {}
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(MOST_AT_ONCE))
        self._active: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._whole_look_at = 0.0
        self._shown = ""

    async def run(self) -> None:
        """Deliver for ever; a server that is away is asked again."""
        while True:
            try:
                await look_once(self.look, log)
            except ExportError as error:  # the disk
                log.error("%s", error)  # noqa: TRY400  the sentence says it
            await self._send_until_the_next_look()

    async def look(self, client: PrefectClient) -> None:
        """Read webhooks and events once, and show what waits and what was given up."""
        self._webhooks = {saved.name: saved for saved in await read_webhooks(client)}
        if self._webhooks:
            events = await read_events(client, self._since())
            self._queue.add(deliveries_of(events, list(self._webhooks.values())), self._clock())
        self._queue.forget(self._webhooks, self._clock())
        for delivery in self._queue.given_up():
            await client.request("POST", "/events", json=[failed_event(delivery)])
            self._queue.told(delivery)
        self._shown = await show_waiting(client, self.waiting(), self._shown)

    async def _send_until_the_next_look(self) -> None:
        for _ in range(round(LOOK_SECONDS / SEND_SECONDS)):
            with suppress(ExportError):  # the disk; the next look says it
                self.send_due()
            await asyncio.sleep(SEND_SECONDS)

    def send_due(self) -> None:
        """Start each delivery that is due; of one iModel and webhook one after the other."""
        for delivery in self._queue.due(self._clock()):
            key = (delivery.block, delivery.subject)
            if key not in self._active and delivery.block in self._webhooks:
                self._active[key] = asyncio.create_task(self._send(delivery))
                self._active[key].add_done_callback(lambda _, key=key: self._active.pop(key, None))

    def waiting(self) -> list[WaitingDeliveries]:
        """What has not been taken at least once, by webhook."""
        return self._queue.waiting()

    async def idle(self) -> None:
        """Wait for what is on its way."""
        while self._active:
            await asyncio.wait(list(self._active.values()))

    def close(self) -> None:
        """Close the queue."""
        self._queue.close()

    async def _send(self, delivery: Delivery) -> None:
        async with self._slots[delivery.block]:
            error = await send(delivery, self._webhooks[delivery.block].webhook)
        try:
            self._note(delivery, error)
        except ExportError as fault:
            log.error("%s", fault)  # noqa: TRY400  the sentence says it
            await asyncio.sleep(DISK_SECONDS)

    def _note(self, delivery: Delivery, error: str) -> None:
        if error:
            self._queue.failed(delivery, error, self._clock())
            log.warning("%s has not taken %s (%s): %s.", delivery.block, delivery.id, delivery.subject, error)
            return
        self._queue.taken(delivery)
        log.info("%s has taken %s (%s).", delivery.block, delivery.id, delivery.subject)

    def _since(self) -> datetime:
        """All the time that events may be late now and then; between that only what is recent."""
        now = datetime.now(UTC)
        created = min(saved.created for saved in self._webhooks.values())
        if self._clock() - self._whole_look_at >= WHOLE_LOOK_SECONDS:
            self._whole_look_at = self._clock()
            return max(created, now - OLDEST)
        return max(created, now - RECENT)
