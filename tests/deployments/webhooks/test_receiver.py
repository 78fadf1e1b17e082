"""The receiver takes what the platform signed, once, and nothing else."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from deployments.webhooks.inbox import Inbox, PendingChange
from deployments.webhooks.message import is_signed
from deployments.webhooks.receiver import LARGEST_BODY, LOOK_SECONDS, Receiver
from tests.deployments.webhooks.deliveries import IMODEL, PRIVATE, SECRET, delivery, signed

WEBHOOKS = "/webhooks/itwin"


class Announcements:
    """A Prefect that can be out of reach."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None]] = []
        self.arrived = asyncio.Semaphore(0)
        self.is_reachable = True

    async def __call__(self, pending: PendingChange) -> None:
        if not self.is_reachable:
            raise httpx.ConnectError("no server")
        self.heard.append((pending.imodel_id, pending.changeset_id))
        self.arrived.release()


@pytest.fixture
def announced() -> Announcements:
    return Announcements()


@pytest.fixture
def receiver(tmp_path: Path, announced: Announcements) -> Receiver:
    return Receiver(Inbox(tmp_path / "inbox.sqlite", quiet_seconds=0), SECRET, announced)


@pytest.fixture
async def platform(receiver: Receiver) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who delivers while the receiver serves and announces."""
    app = receiver.app()
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://receiver.test") as client,
    ):
        yield client


async def until_heard(announced: Announcements, count: int = 1) -> None:
    """Wait for announcements."""
    async with asyncio.timeout(30):
        for _ in range(count):
            await announced.arrived.acquire()


async def test_a_signed_delivery_is_announced(platform: httpx.AsyncClient, announced: Announcements) -> None:
    """What the platform signed is answered with success and announced."""
    body = delivery(changeset_id="c-7")
    answer = await platform.post(WEBHOOKS, content=body, headers=signed(body))
    await until_heard(announced)
    assert (answer.status_code, answer.json()) == (200, {"status": "taken"})
    assert announced.heard == [(IMODEL, "c-7")]


async def test_the_id_of_a_named_version_is_kept(platform: httpx.AsyncClient, receiver: Receiver) -> None:
    """A named version is announced by its id; without a usable one by its changeset."""
    version = "9f7ddf3e-0c2a-4a46-8a1d-5b8dd4f2f2a1"
    for number, said in enumerate([version.upper(), "none", None]):
        content = {"imodelId": IMODEL, "changesetId": f"c-{number}", "versionId": said}
        body = delivery(f"m-{number}", eventType="iModels.namedVersionCreated.v1", content=content)
        assert (await platform.post(WEBHOOKS, content=body, headers=signed(body))).status_code == 200
    ready = {(pending.changeset_id, pending.version_id) for pending in receiver.inbox.ready()}
    assert ready == {("c-0", version), ("c-1", None), ("c-2", None)}


async def test_the_case_of_the_signature_does_not_matter(platform: httpx.AsyncClient) -> None:
    """Hexadecimal digits may come in capitals."""
    body = delivery()
    answer = await platform.post(WEBHOOKS, content=body, headers={"Signature": signed(body)["Signature"].upper()})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Signature": ""},
        {"Signature": "sha256="},
        {"Signature": "sha1=" + "0" * 40},
        {"Signature": "sha256=" + "ü" * 64},
        signed(delivery(), SecretStr("another-secret-of-thirty-two-characters")),
        signed(delivery("m-2")),
    ],
    ids=["none", "empty", "no digits", "other algorithm", "not ascii", "other secret", "other body"],
)
async def test_a_forged_delivery_is_refused(
    headers: dict[str, str], platform: httpx.AsyncClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the right signature nothing happens but a line in the log that holds no word of the body."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await platform.post(WEBHOOKS, content=delivery(), headers=encoded)
    assert answer.status_code == 401
    assert not receiver.inbox.ready()
    assert "Refused a delivery" in caplog.text
    assert PRIVATE not in caplog.text + answer.text
    assert IMODEL not in caplog.text


async def test_a_replayed_delivery_has_no_effect(
    platform: httpx.AsyncClient, announced: Announcements, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that comes again is answered with success, noted in the log, and announced no second time."""
    body = delivery()
    await platform.post(WEBHOOKS, content=body, headers=signed(body))
    await until_heard(announced)
    again = await platform.post(WEBHOOKS, content=body, headers=signed(body))
    other = delivery("m-2")
    await platform.post(WEBHOOKS, content=other, headers=signed(other))
    await until_heard(announced)
    assert (again.status_code, again.json()) == (200, {"status": "known"})
    assert len(announced.heard) == 2
    assert "came again and has no effect: message 'm-1'" in caplog.text
    assert PRIVATE not in caplog.text


async def _in_pieces() -> AsyncIterator[bytes]:
    for _ in range(LARGEST_BODY // 1024 + 1):
        yield PRIVATE.encode().ljust(1024)


@pytest.mark.parametrize("content", [delivery(filler="x" * LARGEST_BODY), None], ids=["announced", "in pieces"])
async def test_an_oversized_delivery_is_refused(
    content: bytes | None, platform: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A body larger than any delivery is refused, signed or not, however its length is told."""
    answer = await platform.post(WEBHOOKS, content=content or _in_pieces(), headers=signed(content or b""))
    assert answer.status_code == 413
    assert "larger than" in caplog.text
    assert PRIVATE not in caplog.text


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "the whole"),
        (b"\xff\xfe" + PRIVATE.encode(), "the whole"),
        (f'["{PRIVATE}"]'.encode(), "the whole"),
        (delivery(messageId=None), "messageId"),
        (delivery(messageId=""), "messageId"),
        (delivery(eventType=7), "eventType"),
        (delivery(content=PRIVATE), "content"),
        (delivery(content={"imodelId": PRIVATE}), "content.imodelId"),
        (delivery(content={}), "content.imodelId"),
    ],
)
async def test_a_malformed_delivery_is_refused(
    body: bytes, what: str, platform: httpx.AsyncClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A signed body that cannot be read is refused; the log names the member and quotes nothing."""
    answer = await platform.post(WEBHOOKS, content=body, headers=signed(body))
    assert answer.status_code == 400
    assert not receiver.inbox.ready()
    assert f"unusable: {what}" in caplog.text
    assert PRIVATE not in caplog.text + answer.text


@pytest.mark.parametrize("content", [{"imodelId": "x"}, None, [], "text"])
async def test_other_events_are_left_alone(content: object, platform: httpx.AsyncClient, receiver: Receiver) -> None:
    """An event that means no new data is answered with success and not announced, whatever its content is."""
    body = delivery(eventType="iModels.iModelDeleted.v1", content=content)
    answer = await platform.post(WEBHOOKS, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert not receiver.inbox.ready()


async def test_only_posts_are_taken(platform: httpx.AsyncClient) -> None:
    """Looking at the address does nothing."""
    assert (await platform.get(WEBHOOKS)).status_code == 405


async def test_news_wait_for_a_prefect_that_is_away(
    receiver: Receiver, announced: Announcements, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be announced now is kept, and announced once Prefect is back."""
    caplog.set_level(logging.INFO)
    announced.is_reachable = False
    async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver.app()), base_url="http://r.test") as client:
        body = delivery()
        await client.post(WEBHOOKS, content=body, headers=signed(body))
    assert not await receiver.announce_ready()
    assert "could not be announced" in caplog.text
    announced.is_reachable = True
    assert await receiver.announce_ready()
    assert announced.heard == [(IMODEL, "c-1")]


@given(body=st.binary(max_size=300), position=st.integers(0), bit=st.integers(0, 7))
def test_any_changed_bit_breaks_the_signature(body: bytes, position: int, bit: int) -> None:
    """The signature holds for exactly the bytes that were signed."""
    signature = signed(body)["Signature"]
    assert is_signed(body, signature, SECRET)
    changed = bytearray(body or b"\0")
    changed[position % len(changed)] ^= 1 << bit
    assert not is_signed(bytes(changed), signature, SECRET)


async def test_hundreds_at_once_are_each_taken_once(platform: httpx.AsyncClient, announced: Announcements) -> None:
    """Many deliveries, each sent twice and all at once, are each taken once."""
    bodies = [delivery(f"m-{n}") for n in range(200)] * 2
    answers = await asyncio.gather(*(platform.post(WEBHOOKS, content=body, headers=signed(body)) for body in bodies))
    said = [answer.json()["status"] for answer in answers]
    assert (said.count("taken"), said.count("known")) == (200, 200)
    await until_heard(announced)


async def test_a_state_file_that_fails_for_a_while_loses_nothing(
    platform: httpx.AsyncClient, announced: Announcements, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written down is answered with 503, so that it is sent again; announcing goes on afterwards."""
    body = delivery(changeset_id="c-7")
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as database:
        database.execute("ALTER TABLE pending RENAME TO away")
        refused = await platform.post(WEBHOOKS, content=body, headers=signed(body))
        await asyncio.sleep(2 * LOOK_SECONDS)
        database.execute("ALTER TABLE away RENAME TO pending")
    again = await platform.post(WEBHOOKS, content=body, headers=signed(body))
    await until_heard(announced)
    assert (refused.status_code, again.json()) == (503, {"status": "taken"})
    assert announced.heard == [(IMODEL, "c-7")]
    assert f"The state file {tmp_path / 'inbox.sqlite'} cannot be used (no such table: pending)" in caplog.text
