"""The receiver as an ASGI application.

A delivery is checked, written down and answered at once: the platform sends again what is not answered in five
seconds. Announcing happens afterwards, and again until it succeeds.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from blocks.errors import ExportError, without_secrets
from deployments.webhooks.inbox import Inbox, PendingChange
from deployments.webhooks.message import MalformedError, is_signed, read_change

LARGEST_BODY = 64 * 1024
READ_SECONDS = 4.0
LOOK_SECONDS = 0.5
PAUSE_SECONDS = 5.0
log = logging.getLogger("itwin.webhooks")

Announce = Callable[[PendingChange], Awaitable[None]]


class RefusedError(Exception):
    """A delivery that is not taken: the answer's status, and why, without a word of the body."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True)
class Receiver:
    """Takes deliveries and announces what they tell."""

    inbox: Inbox
    secret: SecretStr
    announce: Announce

    def app(self) -> Starlette:
        """The application: `POST /webhooks/itwin` for the platform, `GET /health` for whoever watches over it."""
        routes = [Route("/webhooks/itwin", self.receive, methods=["POST"]), Route("/health", _health)]
        return Starlette(routes=routes, lifespan=self._announcing)

    async def receive(self, request: Request) -> JSONResponse:
        """One delivery."""
        try:
            return JSONResponse({"status": await self._take(request)})
        except RefusedError as refusal:
            log.warning("Refused a delivery from %s with %s: %s.", _sender(request), refusal.status, refusal.why)
            return JSONResponse({"error": refusal.why}, refusal.status)

    async def _take(self, request: Request) -> str:
        body = await _read(request)
        if not is_signed(body, request.headers.get("Signature", ""), self.secret):
            raise RefusedError(401, "the signature is not that of the body")
        try:
            change = read_change(body)
        except MalformedError as error:
            raise RefusedError(400, str(error)) from None
        if change is None:
            return "ignored"
        try:
            is_new = self.inbox.take(change)
        except ExportError as error:
            log.error("%s", error)  # noqa: TRY400  the sentence says it
            raise RefusedError(503, "it could not be written down") from None  # the platform sends it again
        if not is_new:
            # An error would make the platform send it once more.
            log.warning("A delivery came again and has no effect: message %s.", ascii(change.message_id))
            return "known"
        log.info("iModel %s: %s.", change.imodel_id, change.event_type)
        return "taken"

    @asynccontextmanager
    async def _announcing(self, _app: Starlette) -> AsyncGenerator[None]:
        task = asyncio.create_task(self._announce_for_ever())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self.inbox.close()

    async def _announce_for_ever(self) -> None:
        pause = LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = LOOK_SECONDS if await self.announce_ready() else PAUSE_SECONDS

    async def announce_ready(self) -> bool:
        """Announce what is ready; false if that did not work and the rest is kept."""
        try:
            for pending in self.inbox.ready():
                if not await self._announce(pending):
                    return False
        except ExportError as error:
            log.error("%s", error)  # noqa: TRY400  the sentence says it
            return False
        return True

    async def _announce(self, pending: PendingChange) -> bool:
        try:
            await self.announce(pending)
        except (httpx.HTTPError, RuntimeError) as error:  # the latter is how Prefect says it reaches no API
            log.warning("iModel %s could not be announced (%s).", pending.imodel_id, without_secrets(str(error)))
            return False
        self.inbox.announced(pending)
        log.info("iModel %s is announced.", pending.imodel_id)
        return True


def _sender(request: Request) -> str:
    """The sender's address; behind a proxy it is what a header says, which may be any text."""
    try:
        return str(ip_address(request.client.host if request.client else ""))
    except ValueError:
        return "an unknown address"


async def _read(request: Request) -> bytes:
    """The raw body, no more of it than a delivery can have."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise RefusedError(413, f"the body is larger than {LARGEST_BODY} bytes")
    except TimeoutError:
        raise RefusedError(408, "the body did not arrive in time") from None
    except ClientDisconnect:
        raise RefusedError(400, "the body did not arrive whole") from None
    return bytes(body)


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})
