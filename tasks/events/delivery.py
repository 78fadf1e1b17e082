"""Deliver events to the Prefect server: once each, confirmed, and later if the server is away.

`prefect.events.emit_event` sends in a background thread and reports no failure; therefore the requests are made here.
An event is kept in the outbox until the server has accepted it. The server stores no second event of an id, but it may
start automations again for one, so it is asked first which of the events it has.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from prefect import get_client
from prefect.events import Event

from blocks.errors import DiskError, without_secrets
from blocks.prefect_server.availability import while_it_answers
from tasks.events.outbox import Outbox
from tasks.events.payloads import BatchPayload, EventRecord, ExportPayload
from tasks.polling import Log

PAUSES = (0.0, 2.0)
"""Seconds before each try; a server that is away for longer gets its events from the next export."""
MOST_AT_ONCE = 50
"""Events in one request: as many as the server lists in one answer."""
BATCH_SECONDS = 2.0
"""Pause between two deliveries of a batch, which has many events."""


async def emit(event: EventRecord, log: Log, *, is_delivered_later: bool = False) -> bool:
    """Deliver an event and those that wait in the outbox; where that fails, the log says so and nothing else happens.

    Args:
        event: What has happened.
        log: Of the flow run.
        is_delivered_later: Only keep it in the outbox, because `delivering` takes it from there.

    Returns:
        True if the server has it, or the outbox until then.
    """
    outbox = Outbox.of(event.payload.destination)
    try:
        await asyncio.to_thread(outbox.put, event)
    except DiskError as error:
        reason = await _tried([event])
        if reason:
            log.warning("The event %s is lost: %s. %s", event.payload.event, reason, error)
        return not reason
    if not is_delivered_later:
        await deliver_waiting(event.payload.destination, log)
    return True


async def deliver_waiting(output_dir: str | Path, log: Log) -> None:
    """Deliver what waits in the outbox; where that fails, the log says so and nothing else happens."""
    outbox = Outbox.of(output_dir)
    if reason := await _deliver(outbox):
        kept = f"They are kept in {outbox.folder}, and the next export to that folder delivers them"
        log.warning("The Prefect server did not take the events of this export (%s). %s.", reason, kept)


async def _deliver(outbox: Outbox) -> str:
    """Deliver what waits, many events in one request; returns why something is left, else nothing."""
    while events := await asyncio.to_thread(outbox.waiting, MOST_AT_ONCE):
        if reason := await _tried(events):
            return reason
        await asyncio.to_thread(outbox.remove, events)
    return ""


@asynccontextmanager
async def delivering(output_dir: Path) -> AsyncGenerator[None]:
    """Deliver every two seconds what waits until the block ends; what is left then is for the next `emit`."""
    courier = asyncio.create_task(_deliver_again_and_again(Outbox.of(output_dir)))
    try:
        yield
    finally:
        courier.cancel()
        with suppress(asyncio.CancelledError):
            await courier


async def _deliver_again_and_again(outbox: Outbox) -> None:
    while True:
        await asyncio.sleep(BATCH_SECONDS)
        await _deliver(outbox)


async def _tried(events: Sequence[EventRecord]) -> str:
    """Send them, trying again within a bound; returns why that failed, else nothing."""
    reason = ""
    for pause in PAUSES:
        await asyncio.sleep(pause)
        try:
            await while_it_answers(_send(events))
        except httpx.HTTPError as error:
            reason = without_secrets(str(error)) or type(error).__name__
        else:
            return ""
    return reason


async def _send(events: Sequence[EventRecord]) -> None:
    """Send those that the server does not have yet."""
    async with get_client() as client:
        wanted = {"filter": {"id": {"id": [str(event.id) for event in events]}}, "limit": MOST_AT_ONCE}
        answer = await client.request("POST", "/events/filter", json=wanted)
        known = {found["id"] for found in answer.raise_for_status().json()["events"]}
        new = [as_prefect_event(event) for event in events if str(event.id) not in known]
        if new:
            sent = await client.request("POST", "/events", json=[event.model_dump(mode="json") for event in new])
            sent.raise_for_status()


def as_prefect_event(event: EventRecord) -> Event:
    """The event with the labels that triggers of automations match."""
    payload = event.payload
    resource = _imodel(payload) if isinstance(payload, ExportPayload) else _itwin(payload)
    related = {f"prefect.flow-run.{payload.flow_run.id}": "flow-run"}
    if payload.flow_run.deployment_id:
        related[f"prefect.deployment.{payload.flow_run.deployment_id}"] = "deployment"
    related[f"itwin.destination.{payload.destination}"] = "destination"
    facts = {
        "id": event.id,
        "occurred": event.occurred,
        "event": payload.event,
        "resource": {name: value for name, value in resource.items() if value},
        "related": [
            {"prefect.resource.id": resource_id, "prefect.resource.role": role} for resource_id, role in related.items()
        ],
        "payload": payload.model_dump(mode="json"),
    }
    return Event.model_validate(facts)


def _imodel(payload: ExportPayload) -> dict[str, str | None]:
    return {
        "prefect.resource.id": f"itwin.imodel.{payload.imodel_id}",
        "prefect.resource.name": payload.imodel_name,
        "itwin.itwin.id": payload.itwin_id,
        "itwin.export.format": payload.format,
        "itwin.export.verdict": payload.verdict,
        "itwin.export.origin": "batch" if payload.in_batch else "single",
        "itwin.export.flow-run": "failed" if payload.error else "completed",
        "itwin.named-version": payload.named_version and payload.named_version.name,
    }


def _itwin(payload: BatchPayload) -> dict[str, str | None]:
    return {
        "prefect.resource.id": f"itwin.itwin.{payload.itwin_id}",
        "prefect.resource.name": payload.itwin_name,
    }
