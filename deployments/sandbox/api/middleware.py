"""What every request passes: the log, ordered faults, the rate limit, the token check."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

import httpx
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.sandbox.api.responses import Detail, RefusedError, answer_refusal
from deployments.sandbox.clock import http_date
from deployments.sandbox.faults.corruption import corrupt
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.request_log import log_request
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.tokens import Grant

CUT = "sandbox.cut"
"""Extension of the ASGI scope: a function that ends the connection, at once or after flushing."""
_APIS = {
    "export": "Export",
    "storage": "Storage",
    "imodels": "iModels",
    "mesh-export": "MeshExport",
    "webhooks": "Webhooks",
}
_WINDOW = timedelta(minutes=1)


class SandboxMiddleware:
    """The outermost layer of the sandbox."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self.app = app
        self.state = state
        self._recent: dict[str, deque[datetime]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the ASGI server."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        _drop_trailing_slash(scope, self.state.blobs.account)
        if scope["path"].startswith("/sandbox/"):
            await self.app(scope, receive, self._dated(send))
            return
        await self._logged(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = log_request(self.state, scope)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        scope.setdefault("state", {})["entry"] = entry
        await self._troubled(scope, receive, self._dated(watch))

    async def _troubled(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.state.faults.meet(scope["method"], scope["path"])
        if fault is None:
            await self._admitted(scope, receive, send)
            return
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.effect or fault.cut == "after":
            await self._admitted(scope, receive, _into_the_void)
            await asyncio.sleep(fault.hold)
        if fault.cut in {"before", "after"}:
            await cut_connection(scope)
        elif fault.status is not None:
            await _scripted_answer(fault, self.state)(scope, receive, send)
        else:
            await corrupt(fault, self._admitted, cut_connection, scope, receive=receive, send=send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = scope["path"].split("/")[1]
        if api in _APIS and scope["method"] != "OPTIONS":
            try:
                self._admit(scope, api)
            except RefusedError as refusal:
                await answer_refusal(Request(scope), refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope, api: str) -> None:
        caller = identify(self.state, Headers(scope=scope))
        scope["state"]["caller"] = caller
        scope["state"]["entry"].client_id = caller.client_id
        self._limit(caller, _APIS[api], scope["method"])

    def _limit(self, caller: Grant, api: str, operation: str) -> None:
        limit = self.state.options.requests_per_minute
        if limit is None:
            return
        now = self.state.clock.now()
        recent = self._recent.setdefault(caller.client_id, deque())
        while recent and recent[0] <= now - _WINDOW:
            recent.popleft()
        if len(recent) >= limit:
            raise _too_many(caller, api, operation, recent[0] + _WINDOW - now)
        recent.append(now)

    def _dated(self, send: Send) -> Send:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["date"] = http_date(self.state.clock.now())
                headers["x-correlation-id"] = str(uuid4())
            await send(message)

        return stamped


def identify(state: SandboxState, headers: Headers) -> Grant:
    """Whose token this is.

    Raises:
        RefusedError: 401 with the documented codes.
    """
    header = headers.get("authorization", "")
    if not header.lower().startswith("bearer "):
        raise RefusedError(401, "HeaderNotFound", "No bearer token.")
    grant = state.tokens.read_access_token(header[7:].strip())
    if grant is None or SCOPE not in grant.scope:
        raise _unauthorized("Token refused.", Detail("InvalidToken", "Token is not valid."))
    if grant.client_id not in IDENTITY.clients:
        raise _unauthorized("Client refused.", Detail("UnknownClient", "Client is not registered."))
    return grant


async def cut_connection(scope: Scope, *, flush: bool = False) -> None:
    """End the connection without (another word of) an answer.

    Under uvicorn the socket is closed; without a socket the client meets the error it would meet then.

    Raises:
        httpx.ReadError: There is no socket to close.
    """
    cut = cast("Callable[[bool], None] | None", scope.get("extensions", {}).get(CUT))
    if cut is None:
        raise httpx.ReadError("The sandbox cut the connection.")
    cut(flush)
    # uvicorn learns of its lost connection in the next turns of the loop; it must not answer 500 meanwhile.
    await asyncio.sleep(0.05)


def _drop_trailing_slash(scope: Scope, account: str) -> None:
    path: str = scope["path"]
    if path != "/" and path.endswith("/") and not path.startswith(f"/{account}/"):
        scope["path"] = path.rstrip("/")


async def _into_the_void(_message: Message) -> None:
    """The answer nobody gets."""


def _scripted_answer(fault: Fault, state: SandboxState) -> Response:
    headers = fault.answer_headers(state.clock)
    status = fault.status or 500
    if fault.code is not None:
        refusal = RefusedError(status, fault.code, fault.message, headers=headers)
        return answer_refusal(Request({"type": "http"}), refusal)
    if fault.body is None:
        return Response(status_code=status, headers=headers)
    return Response(fault.body, status, headers, fault.content_type)


def _unauthorized(message: str, detail: Detail) -> RefusedError:
    return RefusedError(401, "Unauthorized", message, detail)


def _too_many(caller: Grant, api: str, operation: str, wait: timedelta) -> RefusedError:
    headers = {
        "Retry-After": str(int(wait.total_seconds()) + 1),
        "ITwinPlatform-RateLimited-Tier": "Community",
        "ITwinPlatform-RateLimited-API": api,
        "ITwinPlatform-RateLimited-Operation": operation,
        "ITwinPlatform-RateLimited-Application": caller.client_id,
    }
    return RefusedError(429, "RateLimitExceeded", "Slow down.", headers=headers)
