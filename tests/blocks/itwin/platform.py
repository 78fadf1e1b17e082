"""The sandbox platform in process behind an ASGI transport, and scripted servers for other responses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.apis import ItwinApis, apis_of
from blocks.itwin.client import ItwinClient
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.server_clock import ServerClock
from blocks.itwin.transport import Transport
from deployments.sandbox.app import create_app
from deployments.sandbox.clock import Clock
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import seeded_state
from deployments.sandbox.state.tokens import Grant

API = "https://api.bentley.com"
ISSUER = "https://ims.bentley.com"
HOSTS = AllowedHosts(API, ISSUER)
MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class FakeTime:
    """A monotonic clock that advances only by its `sleep`."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list[float])

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class FixedToken:
    """A token provider that returns a new token for each rejected one."""

    asked: int = 0

    async def token(self, rejected: str | None = None) -> str:
        self.asked += rejected is not None
        return f"token-{self.asked}"


@dataclass(frozen=True)
class WorldToken:
    """A provider of tokens that the sandbox accepts."""

    state: SandboxState

    async def token(self, rejected: str | None = None) -> str:
        del rejected
        subject = f"{IDENTITY.service.id}@apps.imsoidc.bentley.com"
        return self.state.tokens.mint_access_token(API, Grant(IDENTITY.service.id, subject, (SCOPE,)), 3600)


Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Server:
    """A server with scripted responses, the last one repeated; records the requests."""

    answers: list[httpx.Response | Exception | Handler]
    requests: list[httpx.Request] = field(default_factory=list[httpx.Request])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def queries(self, name: str) -> list[str | None]:
        return [request.url.params.get(name) for request in self.requests]


def transport_to(answer: Handler, time: FakeTime | None = None, per_minute: int = 1_000_000) -> Transport:
    time = time or FakeTime()
    limiter = RequestLimiter(per_minute, clock=time, sleep=time.sleep)
    clock = ServerClock(monotonic=time, local_now=lambda: MOMENT + timedelta(seconds=time.now - FakeTime.now))
    return Transport(limiter, http_transport=httpx.MockTransport(answer), clock=clock)


def client_to(answer: Handler, tokens: Any = None, time: FakeTime | None = None) -> ItwinClient:
    return ItwinClient(API, HOSTS, transport_to(answer, time), tokens or FixedToken())


def answer(body: object = None, status: int = 200, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers={name.replace("_", "-"): h for name, h in headers.items()})


@dataclass(frozen=True)
class Platform:
    """The sandbox with a manual clock; `another` is a second process with its own rate limiter."""

    state: SandboxState
    itwin: ItwinApis
    close: Callable[[], Awaitable[None]]
    another: Callable[[], ItwinApis]

    async def sleep(self, seconds: float) -> None:
        """Advance the platform's clock, and with it those of its clients."""
        self.state.clock.advance(seconds)
        await asyncio.sleep(0)

    def created(self) -> int:
        return self.state.counters["runs created"]

    def count(self, method: str, path: str) -> int:
        return sum(1 for entry in self.state.log if entry.method == method and path in entry.path)


def open_platform(options: Options | None = None) -> Platform:
    state = seeded_state(Clock(MOMENT), options)
    for imodel_id in state.imodels:
        state.script_always(imodel_id, Outcome(content=b"ISO-10303-21;"))
    app = create_app(state)
    transports: list[Transport] = []

    def another() -> ItwinApis:
        clock = ServerClock(monotonic=lambda: state.clock.now().timestamp(), local_now=state.clock.now)
        transports.append(Transport(RequestLimiter(10_000_000), http_transport=httpx.ASGITransport(app), clock=clock))
        return apis_of(ItwinClient(API, HOSTS, transports[-1], WorldToken(state)))

    async def close() -> None:
        await app.state.exporter.close()
        for transport in transports:
            await transport.aclose()

    return Platform(state, another(), close, another)
