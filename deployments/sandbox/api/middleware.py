"""What every request passes: the request log, the faults, the rate limit, the token check."""

import asyncio
import re
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
    "itwins": "iTwins",
    "export": "Export",
    "storage": "Storage",
    "imodels": "iModels",
    "mesh-export": "MeshExport",
    "webhooks": "Webhooks",
}
_WINDOW = timedelta(minutes=1)
_VENDOR_TYPE = "application/vnd.bentley.itwin-platform."
_SHARED_APIS = {"imodels", "mesh-export"}
"""What a share key can read."""
_OLD_LIMIT_CODE = re.compile(r"(GET|POST) /export/connections|GET /export/connections/[^/]+/runs/[^/]+")
"""Create connection, list connections and get run: their pages name the older code of 429."""


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
        _strip_trailing_slash(scope, self.state.blobs.account)
        if scope["path"].startswith("/sandbox/"):
            await self.app(scope, receive, self._stamped(scope, send))
            return
        await self._log(scope, receive, send)

    async def _log(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = log_request(self.state, scope)

        async def note_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        scope.setdefault("state", {})["entry"] = entry
        await self._apply_fault(scope, receive, self._stamped(scope, note_status))

    async def _apply_fault(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.state.faults.next_for(scope["method"], scope["path"])
        if fault is None:
            await self._authorize(scope, receive, send)
            return
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.effect or fault.cut == "after":
            await self._authorize(scope, receive, _discard)
            fault.effects += 1
            await asyncio.sleep(fault.hold)
        if fault.cut in {"before", "after"}:
            await cut_connection(scope)
        elif fault.status is not None:
            await _scripted_answer(fault, self.state)(scope, receive, send)
        else:
            await corrupt(fault, self._authorize, cut_connection, scope, receive=receive, send=send)

    async def _authorize(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = scope["path"].split("/")[1]
        if api in _APIS and scope["method"] != "OPTIONS":
            try:
                self._check(scope, api)
            except RefusedError as refusal:
                await answer_refusal(Request(scope), refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope, api: str) -> None:
        headers = Headers(scope=scope)
        is_shared = scope["method"] == "GET" and api in _SHARED_APIS
        share = _read_share(self.state, headers) if is_shared else None
        caller = share or identify(self.state, headers)
        scope["state"]["caller"] = caller
        scope["state"]["entry"].client_id = caller.client_id
        if self.state.options.accept == "required" and _VENDOR_TYPE not in headers.get("accept", ""):
            raise RefusedError(406, "NotAcceptable", "The Accept header names no version of the API.")
        self._limit(caller, _APIS[api], scope["method"], scope["path"])

    def _limit(self, caller: Grant, api: str, method: str, path: str) -> None:
        limit = self.state.options.requests_per_minute
        if limit is None:
            return
        now = self.state.clock.now()
        recent = self._recent.setdefault(caller.client_id, deque())
        while recent and recent[0] <= now - _WINDOW:
            recent.popleft()
        if len(recent) >= limit:
            is_old_page = _OLD_LIMIT_CODE.fullmatch(f"{method} {path}") is not None
            code = "TooManyRequests" if is_old_page else "RateLimitExceeded"
            raise _too_many(code, caller, api, method, (recent[0] if recent else now) + _WINDOW - now)
        recent.append(now)

    def _stamped(self, scope: Scope, send: Send) -> Send:
        """Add the headers that every answer has."""

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("date", http_date(self.state.clock.now()))
                headers["x-correlation-id"] = str(uuid4())
                accepted = Headers(scope=scope).get("accept", "")
                is_vendor_type = self.state.options.content_type == "vendor" and accepted.startswith(_VENDOR_TYPE)
                if is_vendor_type and headers.get("content-type") == "application/json":
                    headers["content-type"] = accepted
            await send(message)

        return stamp


def identify(state: SandboxState, headers: Headers, scope: str | None = SCOPE) -> Grant:
    """The owner of the bearer token, which must have this scope.

    Raises:
        RefusedError: 401 with the documented codes.
    """
    header = headers.get("authorization", "")
    if not header.lower().startswith("bearer "):
        raise RefusedError(401, "HeaderNotFound", "No bearer token.")
    grant = state.tokens.read_access_token(header[7:].strip())
    if grant is None or (scope is not None and scope not in grant.scope):
        raise _unauthorized("Token refused.", Detail("InvalidToken", "Token is not valid."))
    if grant.client_id not in IDENTITY.clients:
        raise _unauthorized("Client refused.", Detail("UnknownClient", "Client is not registered."))
    return grant


async def cut_connection(scope: Scope, *, flush: bool = False) -> None:
    """End the connection without an answer, or in the middle of one.

    Under uvicorn the socket is closed; without a socket the client gets the error that this would cause.

    Raises:
        httpx.ReadError: There is no socket to close.
    """
    cut = cast("Callable[[bool], None] | None", scope.get("extensions", {}).get(CUT))
    if cut is None:
        raise httpx.ReadError("The sandbox cut the connection.")
    cut(flush)
    # uvicorn notices the closed connection in the next turns of the loop; it must not answer 500 meanwhile.
    await asyncio.sleep(0.05)


def _read_share(state: SandboxState, headers: Headers) -> Grant | None:
    """The reader whom a share key lets in (`Authorization: Basic <shareKey>`, the key as it is); none without one.

    https://developer.bentley.com/apis/access-control-v2/operations/create-itwin-share/
    """
    header = headers.get("authorization", "")
    if not header.lower().startswith("basic "):
        return None
    itwin_id = state.tokens.read_share_key(header[6:].strip())
    if itwin_id is None:
        raise _unauthorized("Share key refused.", Detail("InvalidToken", "Share key is not valid."))
    return Grant("share", f"share of {itwin_id}", (SCOPE,), itwin_id)


def _strip_trailing_slash(scope: Scope, account: str) -> None:
    path: str = scope["path"]
    if path != "/" and path.endswith("/") and not path.startswith(f"/{account}/"):
        scope["path"] = path.rstrip("/")


async def _discard(_message: Message) -> None:
    """Send nothing: the caller does not get this answer."""


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


def _too_many(code: str, caller: Grant, api: str, operation: str, wait: timedelta) -> RefusedError:
    headers = {
        "Retry-After": str(int(wait.total_seconds()) + 1),
        "ITwinPlatform-RateLimited-Tier": "Community",
        "ITwinPlatform-RateLimited-API": api,
        "ITwinPlatform-RateLimited-Operation": operation,
        "ITwinPlatform-RateLimited-Application": caller.client_id,
    }
    return RefusedError(429, code, "Slow down.", headers=headers)
