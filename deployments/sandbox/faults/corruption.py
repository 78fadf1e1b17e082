"""Corrupts answers on their way out, so that they look valid and are not."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from deployments.sandbox.faults.faults import Fault

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Cutter(Protocol):
    """A function that ends a connection."""

    async def __call__(self, scope: Scope, *, flush: bool = False) -> None:  # noqa: D102 - the class says it
        ...


async def corrupt(fault: Fault, handler: Handler, cut: Cutter, scope: Scope, *, receive: Receive, send: Send) -> None:
    """Let the handler answer, and send its answer with the damage and the headers that the fault asks for."""
    if fault.damage == "whole":
        _remove_range_headers(scope)
    collected = _Collected()
    await handler(scope, receive, collected)
    body = _damaged(fault, collected.body)
    if fault.damage == "short":
        _set_length(collected.start, len(body))
    MutableHeaders(scope=collected.start).update(fault.headers)
    await send(collected.start)
    if fault.cut == "midway":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await cut(scope, flush=True)
    else:
        await send({"type": "http.response.body", "body": body})


class _Collected:
    """Collects an answer instead of sending it."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")


def _damaged(fault: Fault, body: bytes) -> bytes:
    if fault.damage == "flip" and body:
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    if fault.damage == "short":
        return body[: len(body) // 2]
    return body


def _set_length(start: Message, length: int) -> None:
    """Set `Content-Length` and `Content-Range` to fit the shorter body."""
    headers = MutableHeaders(scope=start)
    headers["content-length"] = str(length)
    content_range = headers.get("content-range")
    if content_range:
        span, _, total = content_range.removeprefix("bytes ").partition("/")
        first = int(span.partition("-")[0])
        headers["content-range"] = f"bytes {first}-{first + length - 1}/{total}"


def _remove_range_headers(scope: Scope) -> None:
    scope["headers"] = [pair for pair in scope["headers"] if pair[0].lower() not in {b"range", b"x-ms-range"}]
