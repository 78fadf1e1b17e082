"""Loopback HTTP server for the OAuth redirect (RFC 8252)."""

import asyncio
import contextlib
import hmac
import html
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from blocks.errors import ConfigurationError, SignInRequiredError
from blocks.urls import is_loopback

READ_SECONDS = 10.0
LONGEST_REQUEST = 32 * 1024
UNKNOWN_STATE = "This page belongs to another sign-in. Go back to the terminal and open the link it shows."

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>"""


@dataclass(frozen=True)
class CallbackRequest:
    """A request of the browser to the redirect address; `query` holds code and state, or an error."""

    query: dict[str, str]
    writer: asyncio.StreamWriter

    async def answer(self, title: str, text: str, status: str = "200 OK") -> None:
        """Send a page and close the connection; ignore a disconnected client."""
        body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            self.writer.write(head.encode() + body)
            await self.writer.drain()
            self.writer.close()
            await self.writer.wait_closed()


class RedirectServer:
    """HTTP server on the redirect address; use as an async context manager.

    Raises:
        ConfigurationError: The address is not on loopback, or its port is in use.
    """

    def __init__(self, redirect_url: str) -> None:
        self._address = _checked(redirect_url)
        self._servers: list[asyncio.Server] = []
        self._callbacks: asyncio.Queue[CallbackRequest] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        first, *others = _hosts(self._address.hostname or "")
        port = self._address.port or 80
        try:
            self._servers.append(await self._listen(first, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of this machine cannot be listened on ({error.strerror or 'it is in use'}). End what "
                f"uses it, or register another redirect address with the application and set ITWIN_REDIRECT_URL."
            ) from None
        for host in others:
            with contextlib.suppress(OSError):  # machines without IPv6
                self._servers.append(await self._listen(host, port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()

    async def callback(self, state: str, timeout_seconds: float) -> CallbackRequest:
        """Wait for the request with this state; requests with another state get an error page.

        Raises:
            SignInRequiredError: The user did not sign in within `timeout_seconds`.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    callback = await self._callbacks.get()
                    if hmac.compare_digest(callback.query.get("state", "").encode(), state.encode()):
                        return callback
                    await callback.answer("Not this sign-in", UNKNOWN_STATE, "400 Bad Request")
        except TimeoutError:
            raise SignInRequiredError(
                f"Nobody signed in within {timeout_seconds:g} seconds. Run itwin-export login again."
            ) from None

    async def serve_message(self, title: str, text: str) -> None:
        """Answer every request with the same page, until cancelled."""
        while True:
            await (await self._callbacks.get()).answer(title, text)

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._handle, host, port, limit=LONGEST_REQUEST)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = await _read_target(reader)
        callback = CallbackRequest(dict(parse_qsl(target.query)), writer)
        if target.path == (self._address.path or "/"):
            self._callbacks.put_nowait(callback)
        else:
            await callback.answer("Nothing here", "This is not the page you look for.", "404 Not Found")


async def _read_target(reader: asyncio.StreamReader) -> SplitResult:
    """The target of a GET request; empty for another method, a head over 32 KiB or one slower than 10 seconds."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        return urlsplit(target if method == "GET" else "")
    except (TimeoutError, ValueError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return urlsplit("")


def _checked(redirect_url: str) -> SplitResult:
    address = urlsplit(redirect_url)
    if address.scheme != "http" or not is_loopback((address.hostname or "").lower()):
        raise ConfigurationError(
            f"ITWIN_REDIRECT_URL is {address.scheme}://{address.netloc}{address.path}: the sign-in has to return to "
            f"this machine, for example to http://localhost:3113/callback. Register that with the application."
        )
    return address


def _hosts(host: str) -> list[str]:
    """The loopback addresses to listen on: browsers try IPv4 and IPv6 for localhost."""
    return ["127.0.0.1", "::1"] if host.endswith("localhost") else [host]
