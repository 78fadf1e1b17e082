"""Loopback HTTP server for the OAuth redirect (RFC 8252)."""

import asyncio
import contextlib
import hmac
import html
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

import h11

from blocks.errors import ConfigurationError, ForeignDataError, SignInRequiredError
from blocks.foreign_data import split_url
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
    connection: h11.Connection
    writer: asyncio.StreamWriter

    async def answer(self, title: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send a page and close the connection; ignore a disconnected client."""
        with contextlib.suppress(OSError):
            for event in _page(title, text, status):
                self.writer.write(self.connection.send(event) or b"")
            await self.writer.drain()
            self.writer.close()
            await self.writer.wait_closed()


class RedirectServer:
    """HTTP server on the redirect address; use as an async context manager.

    Args:
        redirect_url: The redirect address, on loopback.
        read_seconds: Maximum time for the head of a request to arrive.

    Raises:
        ConfigurationError: The address is not on loopback, or its port is in use.
    """

    def __init__(self, redirect_url: str, *, read_seconds: float = READ_SECONDS) -> None:
        self._read_seconds = read_seconds
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
                    await callback.answer("Not this sign-in", UNKNOWN_STATE, HTTPStatus.BAD_REQUEST)
        except TimeoutError:
            raise SignInRequiredError(
                f"Nobody signed in within {timeout_seconds:g} seconds. Run itwin-export login again."
            ) from None

    async def serve_message(self, title: str, text: str) -> None:
        """Answer every request with the same page, until cancelled."""
        while True:
            await (await self._callbacks.get()).answer(title, text)

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._handle, host, port)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_REQUEST)
        target = await self._read_target(connection, reader)
        callback = CallbackRequest(dict(parse_qsl(target.query)), connection, writer)
        if target.path == (self._address.path or "/"):
            self._callbacks.put_nowait(callback)
        else:
            await callback.answer("Nothing here", "This is not the page you look for.", HTTPStatus.NOT_FOUND)

    async def _read_target(self, connection: h11.Connection, reader: asyncio.StreamReader) -> SplitResult:
        """The target of a GET request; empty for another method, a head over 32 KiB or one that does not arrive."""
        try:
            async with asyncio.timeout(self._read_seconds):
                request = await _read_request(connection, reader)
            return urlsplit(request.target.decode("ascii") if request.method == b"GET" else "")
        except (TimeoutError, ValueError, OSError, h11.RemoteProtocolError):
            return urlsplit("")


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(LONGEST_REQUEST))
    if not isinstance(event, h11.Request):
        raise ConnectionError("The client closed the connection before it sent a request.")
    return event


def _page(title: str, text: str, status: HTTPStatus) -> list[h11.Event]:
    body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Connection": "close",
    }
    head = h11.Response(status_code=status, reason=status.phrase, headers=list(headers.items()))
    return [head, h11.Data(data=body), h11.EndOfMessage()]


def _checked(redirect_url: str) -> SplitResult:
    try:
        address = split_url(redirect_url)
    except ForeignDataError:
        raise ConfigurationError(
            "ITWIN_REDIRECT_URL is not a URL with a port from 1 to 65535. Set it to the address that is registered "
            "with the application, for example http://localhost:3113/callback."
        ) from None
    if address.scheme != "http" or not is_loopback((address.hostname or "").lower()):
        raise ConfigurationError(
            f"ITWIN_REDIRECT_URL is {address.scheme}://{address.netloc}{address.path}: the sign-in has to return to "
            f"this machine, for example to http://localhost:3113/callback. Register that with the application."
        )
    return address


def _hosts(host: str) -> list[str]:
    """The loopback addresses to listen on: browsers try IPv4 and IPv6 for localhost."""
    return ["127.0.0.1", "::1"] if host.endswith("localhost") else [host]
