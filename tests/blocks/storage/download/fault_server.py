"""A blob server on loopback with state and with faults on request."""

import asyncio
import base64
import hashlib
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_RANGE = re.compile(rb"\r\n(?:x-ms-)?range: *bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)
_IF_MATCH = re.compile(rb"\r\nif-match: *([^\r]+)\r\n", re.IGNORECASE)

FAULTS = (
    "truncated", "reset", "short 206", "short body", "whole", "garbled range", "other range",
    "too long", "encoded", "cut whole", "short, no length", "busy", "server error", "other etag", "no etag",
)  # fmt: skip
"""Everything that goes wrong once and is told by headers or by counting."""


@dataclass
class FaultServer:
    """One blob; each range request consumes one entry of `faults` ("" is a good answer)."""

    content: bytes
    etag: str | None = '"v1"'
    md5: str = ""
    encoding: str = ""
    faults: list[str] = field(default_factory=list[str])
    every_fault: str = ""
    signatures: set[str] = field(default_factory=lambda: {"secret/1+"})
    honours_if_match: bool = True
    chunks_before_change: int = -1
    next_version: tuple[bytes, str] = (b"", "")
    chunks_before_expiry: int = -1
    requested: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    requests: list[bytes] = field(default_factory=list[bytes])
    url: str = ""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    hang: asyncio.Event = field(default_factory=asyncio.Event)

    def link(self, signature: str = "secret/1+") -> str:
        encoded = signature.replace("/", "%2F").replace("+", "%2B")
        return f"{self.url}/account/container/model.ifc?sv=2024-08-04&sp=r&sig={encoded}"

    def promise_md5(self) -> None:
        self.md5 = base64.b64encode(hashlib.md5(self.content, usedforsecurity=False).digest()).decode()

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator["FaultServer"]:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            self.hang.set()
            server.close()
            await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(await reader.readuntil(b"\r\n\r\n"), writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False closes the connection."""
        self.requests.append(request)
        query = parse_qs(urlsplit(request.split(b" ")[1].decode()).query)
        if query.get("sig", [""])[0] not in self.signatures:
            return self._plain(writer, 403, "x-ms-error-code: AuthenticationFailed\r\n")
        if request.startswith(b"HEAD"):
            writer.write(self._head(200, f"Content-Length: {len(self.content)}\r\n{self._whole_md5()}"))
            return True
        match = _RANGE.search(request)
        assert match, request
        first, last = int(match[1]), int(match[2])
        if (first, last) == (0, 0):
            return self._first_byte(writer)
        return await self._range(request, first, last, writer)

    def _first_byte(self, writer: asyncio.StreamWriter) -> bool:
        if not self.content:
            return self._plain(writer, 416, "Content-Range: bytes */0\r\n")
        extent = f"Content-Length: 1\r\nContent-Range: bytes 0-0/{len(self.content)}\r\n"
        writer.write(self._head(206, extent) + self.content[:1])
        return True

    async def _range(self, request: bytes, first: int, last: int, writer: asyncio.StreamWriter) -> bool:
        self.requested[first, last] += 1
        self._pass_time()
        condition = _IF_MATCH.search(request)
        if condition and self.honours_if_match and condition[1].decode() != self.etag:
            return self._plain(writer, 412, "x-ms-error-code: ConditionNotMet\r\n")
        last = min(last, len(self.content) - 1)
        body = self.content[first : last + 1]
        fault = self.faults.pop(0) if self.faults else self.every_fault
        return await self._faulty(fault, first, body, writer)

    def _pass_time(self) -> None:
        self.chunks_before_change -= 1
        if self.chunks_before_change == -1:
            self.content, self.etag = self.next_version
            self.chunks_before_change = -2
        self.chunks_before_expiry -= 1
        if self.chunks_before_expiry == -1:
            self.signatures.clear()

    async def _faulty(self, fault: str, first: int, body: bytes, writer: asyncio.StreamWriter) -> bool:
        if answer := self._lie(fault, first, body):
            writer.write(answer)
            return True
        if fault in {"truncated", "reset", "stall", "too long", "short, no length"}:
            await self._break(fault, first, body, writer)
            return False
        return self._status(fault, writer)

    def _lie(self, fault: str, first: int, body: bytes) -> bytes | None:
        """Answers that are complete as HTTP goes."""
        good = self._extent(first, body)
        half = body[: len(body) // 2]
        short = good.replace(f"Content-Length: {len(body)}", f"Content-Length: {len(half)}")
        answers = {
            "": self._head(206, good) + body,
            "flip": self._head(206, good) + bytes([body[0] ^ 1]) + body[1:],
            "short 206": self._head(206, self._extent(first, half)) + half,
            "short body": self._head(206, short) + half,
            "whole": self._head(200, f"Content-Length: {len(self.content)}\r\n") + self.content,
            "cut whole": self._head(200, f"Content-Length: {len(body)}\r\n") + self.content[: len(body)],
            "garbled range": self._head(206, good.replace("bytes ", "bites x")) + body,
            "other range": self._head(206, self._extent(first + 1, body)) + body,
            "encoded": self._head(206, f"{good}Content-Encoding: br\r\n") + body,
            "other etag": self._head(206, good).replace(b'"v', b'"other-v') + body,
            "no etag": self._head(206, good).replace(b"ETag", b"X-Tag") + body,
        }
        return answers.get(fault)

    async def _break(self, fault: str, first: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        """Answers that end with the connection."""
        good = self._extent(first, body)
        half = body[: len(body) // 2]
        unsized = self._head(206, good.replace(f"Content-Length: {len(body)}", "Connection: close"))
        if fault in {"too long", "short, no length"}:
            writer.write(unsized + (body + half if fault == "too long" else half))
            return
        writer.write(self._head(206, good) + half)
        await writer.drain()
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if fault == "stall":
            self.stalled.set()
            await self.hang.wait()

    def _status(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        match fault:
            case "busy":
                return self._plain(writer, 503, "Retry-After: 0\r\n")
            case "busy for long":
                return self._plain(writer, 503, "Retry-After: 3600\r\n")
            case "server error":
                return self._plain(writer, 500, "")
            case "gone":
                return self._plain(writer, 404, "x-ms-error-code: BlobNotFound\r\n")
            case "redirect":
                return self._plain(writer, 302, f"Location: {self.link()}\r\n")
            case "forbidden":
                return self._plain(writer, 403, "x-ms-error-code: AuthorizationFailure\r\n")
            case _:
                raise AssertionError(fault)

    def _extent(self, first: int, body: bytes) -> str:
        extent = f"bytes {first}-{first + len(body) - 1}/{len(self.content)}"
        return f"Content-Length: {len(body)}\r\nContent-Range: {extent}\r\n"

    def _head(self, status: int, extra: str) -> bytes:
        etag = f"ETag: {self.etag}\r\n" if self.etag else ""
        digest = f"x-ms-blob-content-md5: {self.md5}\r\n" if self.md5 else ""
        encoding = f"Content-Encoding: {self.encoding}\r\n" if self.encoding else ""
        fixed = "x-ms-blob-type: BlockBlob\r\nLast-Modified: Sun, 22 Nov 2026 03:00:00 GMT\r\n"
        return f"HTTP/1.1 {status} Whatever\r\n{etag}{digest}{encoding}{fixed}{extra}\r\n".encode()

    def _whole_md5(self) -> str:
        return f"Content-MD5: {self.md5}\r\n" if self.md5 else ""

    @staticmethod
    def _plain(writer: asyncio.StreamWriter, status: int, extra: str) -> bool:
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n{extra}\r\n".encode())
        return True
