"""Events on their way to outgoing webhooks, from a real Prefect server to receivers that misbehave."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from deployments.cli.doctor.webhooks import check_webhooks
from deployments.deliveries import service as service_module
from deployments.deliveries import webhook_sender
from deployments.deliveries.delivery_queue import Delivery, DeliveryQueue
from deployments.deliveries.report import ARTIFACT, FAILED_EVENT
from deployments.deliveries.service import DeliveryService
from deployments.webhooks.message import is_signed
from tests.deployments.automations.receiver import Answer, Handler, Receiver
from tests.prefect_api import ask

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECRET = SecretStr("s" * 40)
PLANT, BRIDGE = "itwin.imodel.plant", "itwin.imodel.bridge"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Where webhooks arrive."""
    with Receiver() as running:
        yield running


@pytest.fixture
async def webhook(prefect_server: str, receiver: Receiver) -> str:
    """The name of a saved block that leads to the receiver; other tests' blocks are gone."""
    wanted = {"block_types": {"slug": {"any_": ["outgoing-webhook"]}}}
    for one in ask("POST", f"{prefect_server}/block_documents/filter", wanted):
        ask("DELETE", f"{prefect_server}/block_documents/{one['id']}")
    name = f"hook-{uuid4().hex[:8]}"
    await OutgoingWebhook(url=SecretStr(receiver.url), secret=SECRET).asave(name)
    return name


@asynccontextmanager
async def service(tmp_path: Path, clock: Clock) -> AsyncGenerator[DeliveryService]:
    running = DeliveryService(DeliveryQueue(tmp_path / "deliveries.sqlite"), clock)
    try:
        yield running
    finally:
        await running.idle()
        running.close()


def published(api: str, *subjects: str) -> list[str]:
    """Events of these iModels, one after the other; their ids, once the server can be asked for them."""
    now = datetime.now(UTC)
    events = [
        {
            "id": str(uuid4()),
            "occurred": (now + timedelta(milliseconds=number)).isoformat(),
            "event": "itwin.export.published",
            "resource": {"prefect.resource.id": subject},
            "payload": {"number": number},
        }
        for number, subject in enumerate(subjects)
    ]
    ask("POST", f"{api}/events", events)
    ids = [str(event["id"]) for event in events]
    end = time.monotonic() + 60
    while len(ask("POST", f"{api}/events/filter", {"filter": {"id": {"id": ids}}})["events"]) < len(ids):
        assert time.monotonic() < end
        time.sleep(0.1)
    return ids


async def look(running: DeliveryService) -> None:
    async with get_client() as client:
        await running.look(client)


async def sent(running: DeliveryService, rounds: int = 1) -> None:
    """Send what is due, and wait for it, so many times."""
    for _ in range(rounds):
        running.send_due()
        await running.idle()


def numbers_of(receiver: Receiver, event_ids: list[str]) -> list[int]:
    """Which events have been taken, in order."""
    return [event_ids.index(json.loads(content)["eventId"]) for _, content in receiver.requests]


async def test_a_delivery_is_signed_and_sent_once(
    prefect_server: str, webhook: str, receiver: Receiver, tmp_path: Path
) -> None:
    """The body has the event, the signature is that of the raw body, and what was read twice is sent once."""
    assert webhook
    ids = published(prefect_server, PLANT)
    async with service(tmp_path, Clock()) as running:
        for _ in range(3):
            await look(running)
            await sent(running)
    ((headers, content),) = receiver.requests
    body = json.loads(content)
    assert is_signed(content, headers["Signature"], SECRET)
    assert not is_signed(content + b" ", headers["Signature"], SECRET)
    assert headers["Delivery-Id"] == body["deliveryId"]
    assert (body["eventId"], body["eventType"], body["content"]) == (ids[0], "itwin.export.published", {"number": 0})


async def test_events_of_before_and_others_are_not_sent(
    prefect_server: str, webhook: str, receiver: Receiver, tmp_path: Path
) -> None:
    """A webhook gets no event that is older than itself, and none that it does not name."""
    old = datetime.now(UTC) - timedelta(days=1)
    other = {"resource": {"prefect.resource.id": PLANT}, "payload": {}}
    ask(
        "POST",
        f"{prefect_server}/events",
        [
            {"id": str(uuid4()), "occurred": old.isoformat(), "event": "itwin.export.published", **other},
            {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": "itwin.export.skipped", **other},
        ],
    )
    ids = published(prefect_server, BRIDGE)
    assert webhook
    async with service(tmp_path, Clock()) as running:
        await look(running)
        await sent(running, 3)
    assert numbers_of(receiver, ids) == [0]


def fail(handler: Handler) -> None:
    handler.reply(500)


def redirect(handler: Handler) -> None:
    handler.reply(302, Location="http://127.0.0.1:1/elsewhere")


def hang(handler: Handler) -> None:
    time.sleep(2)
    handler.close_connection = True


def close(handler: Handler) -> None:
    """Half of the head of an answer, and no more."""
    handler.wfile.write(b"HTTP/1.1 200 O")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (fail, "it answered 500"),
        (redirect, "redirects are not followed"),
        (close, "it cannot be reached"),
        (hang, "no answer within"),
    ],
    ids=["500", "redirects", "closes midway", "hangs"],
)
async def test_an_hour_of_faults_loses_nothing(
    prefect_server: str,
    webhook: str,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Answer,
    said: str,
) -> None:
    """What a receiver did not take for an hour it gets then: each once, of each iModel in order, over restarts too."""
    monkeypatch.setattr(webhook_sender, "SECONDS", 0.5)
    clock = Clock()
    until = clock.now + 3600
    receiver.answer = lambda handler: fault(handler) if clock.now < until else handler.reply(200)
    ids = published(prefect_server, PLANT, PLANT, BRIDGE, PLANT)
    for _ in range(8):
        async with service(tmp_path, clock) as running:
            await look(running)
            await sent(running)
            if clock.now < until:
                assert said in running.waiting()[0].error
            clock.now += 601
    async with service(tmp_path, clock) as running:
        await look(running)
        await sent(running, 4)
    taken = [ids.index(json.loads(content)["eventId"]) for content in receiver.taken]
    assert sorted(taken) == [0, 1, 2, 3]
    assert [number for number in taken if number != 2] == [0, 1, 3]
    assert webhook


async def test_a_later_event_waits_for_the_one_before(tmp_path: Path) -> None:
    """While a delivery waits for its next attempt, no later one of the same iModel and webhook is due; others are."""
    queue = DeliveryQueue(tmp_path / "deliveries.sqlite")
    subjects = [("a", PLANT), ("a", PLANT), ("a", BRIDGE), ("b", PLANT)]
    queue.add([Delivery(str(n), block, subject, b"{}") for n, (block, subject) in enumerate(subjects)], now=0)
    assert [one.id for one in queue.due(now=0)] == ["0", "2", "3"]
    queue.failed(queue.due(now=0)[0], "it answered 500", now=0)
    assert [one.id for one in queue.due(now=1)] == ["2", "3"]
    assert [one.id for one in queue.due(now=5)] == ["0", "2", "3"]
    queue.taken(queue.due(now=5)[0])
    assert [one.id for one in queue.due(now=5)] == ["1", "2", "3"]
    queue.close()


async def test_one_that_hangs_holds_up_no_other(
    prefect_server: str, webhook: str, receiver: Receiver, tmp_path: Path
) -> None:
    """While one webhook does not answer, another gets its deliveries."""
    with Receiver() as slow:
        slow.answer = hang
        await OutgoingWebhook(url=SecretStr(slow.url), secret=SECRET).asave(f"{webhook}-slow")
        ids = published(prefect_server, PLANT, BRIDGE, "itwin.imodel.a", "itwin.imodel.b", "itwin.imodel.c", PLANT)
        async with service(tmp_path, Clock()) as running:
            await look(running)
            begun = time.monotonic()
            while len(receiver.taken) < len(ids) and time.monotonic() < begun + 30:
                running.send_due()
                await asyncio.sleep(0.05)
            passed = time.monotonic() - begun
            assert len(receiver.taken) == len(ids)
            assert passed < 2
            assert not slow.taken


async def test_a_full_disk_sends_nothing_again_and_again(
    prefect_server: str, webhook: str, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it cannot be noted that a delivery was taken, it is sent again after a pause only, and then noted."""

    def refuse(*_: object) -> None:
        raise ConfigurationError("The state file cannot be used (disk full).")

    monkeypatch.setattr(service_module, "DISK_SECONDS", 0.5)
    published(prefect_server, PLANT)
    assert webhook
    async with service(tmp_path, Clock()) as running:
        await look(running)
        with monkeypatch.context() as full:
            full.setattr(DeliveryQueue, "taken", refuse)
            for _ in range(4):
                running.send_due()
                await asyncio.sleep(0.05)
            await running.idle()
        assert len(receiver.taken) == 1
        await sent(running, 3)
    assert len(receiver.taken) == 2


async def test_what_is_given_up_is_shown(prefect_server: str, webhook: str, receiver: Receiver, tmp_path: Path) -> None:
    """After a day a delivery is given up: artifact, event and doctor tell of it, and the next one goes."""
    clock = Clock()
    day = clock.now + 24 * 3600
    receiver.answer = lambda handler: handler.reply(503 if clock.now <= day else 200)
    ids = published(prefect_server, PLANT, PLANT)
    async with service(tmp_path, clock) as running:
        await look(running)
        await sent(running)
        await look(running)
        latest = {"artifacts": {"key": {"any_": [ARTIFACT]}}, "limit": 1, "sort": "UPDATED_DESC"}
        (artifact,) = ask("POST", f"{prefect_server}/artifacts/filter", latest)
        assert artifact["description"] == f"{webhook}: 2 waiting (it answered 503)"
        async with get_client() as client:
            with pytest.raises(ConfigurationError, match="2 waiting"):
                await check_webhooks(client)
        clock.now = day
        await sent(running)
        clock.now += 1
        await sent(running, 2)
        await look(running)
    assert [json.loads(content)["eventId"] for content in receiver.taken] == ids[1:]
    wanted = {"filter": {"event": {"name": [FAILED_EVENT]}, "resource": {"id": [f"itwin.webhook.{webhook}"]}}}
    (event,) = found_events(prefect_server, wanted)
    assert (event["payload"]["subject"], event["payload"]["error"]) == (PLANT, "it answered 503")
    async with get_client() as client:
        with pytest.raises(ConfigurationError, match="1 deliveries were given up"):
            await check_webhooks(client)


def found_events(api: str, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Events, once there are some."""
    end = time.monotonic() + 60
    while not (found := ask("POST", f"{api}/events/filter", wanted)["events"]) and time.monotonic() < end:
        time.sleep(0.2)
    return found
