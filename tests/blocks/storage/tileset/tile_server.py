"""A container of small blobs on loopback: lists, serves, expires and misbehaves on request."""

import asyncio
import base64
import hashlib
import ssl
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PREFIX = "/account/container/"
_REFUSALS = {"busy": (503, ""), "later": (503, "Retry-After: 7\r\n"), "forbidden": (403, "")}


def etag_of(content: bytes) -> str:
    return f"0x{hashlib.sha1(content, usedforsecurity=False).hexdigest()[:15].upper()}"


@dataclass
class TileServer:
    """`faults` are consumed one per request of that blob; "" is a good answer."""

    blobs: dict[str, bytes]
    page_size: int = 1000
    lists: bool = True
    has_md5: bool = True
    signatures: set[str] = field(default_factory=lambda: {"secret/1+"})
    faults: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    reads_before_expiry: int = -1
    changes_after: int = -1
    next_blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    circle: bool = False
    never_settles: bool = False
    redirects: str = ""
    encodings: dict[str, str] = field(default_factory=dict[str, str])
    honours_if_match: bool = True
    requested: Counter[str] = field(default_factory=Counter[str])
    delivered: Counter[str] = field(default_factory=Counter[str])
    pages: int = 0
    connections: int = 0
    delay: float = 0.0
    url: str = ""
    expiry: str = "2099-01-01T00%3A00%3A00Z"

    def link(self, signature: str = "secret/1+") -> str:
        encoded = signature.replace("/", "%2F").replace("+", "%2B")
        return f"{self.url}{PREFIX.rstrip('/')}?sv=2024-08-04&sp=rl&sr=c&se={self.expiry}&sig={encoded}"

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncGenerator["TileServer"]:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._answer(await self._request(reader), writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        request = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(self.delay)
        return request

    def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        target = urlsplit(request.split(b" ")[1].decode())
        query = parse_qs(target.query, keep_blank_values=True)
        if query.get("sig", [""])[0] not in self.signatures:
            return self._send(writer, 403, b"<Error><Code>AuthenticationFailed</Code></Error>")
        if query.get("comp") == ["list"]:
            return self._list(query.get("marker", [""])[0], writer)
        headers = dict(line.lower().split(": ", 1) for line in request.decode().split("\r\n")[1:] if line)
        return self._read(unquote(target.path).removeprefix(PREFIX), headers, writer)

    def _list(self, marker: str, writer: asyncio.StreamWriter) -> bool:
        self.pages += 1
        if not self.lists:
            return self._send(writer, 403, b"<Error><Code>AuthorizationPermissionMismatch</Code></Error>")
        names = sorted(self.blobs)
        start = int(marker or 0)
        end = start + self.page_size
        following = str(0 if self.circle else end) if end < len(names) else ""
        items = "".join(self._item(name) for name in names[start:end])
        pages = f"<Blobs>{items}</Blobs><NextMarker>{following}</NextMarker>"
        page = f"<EnumerationResults>{pages}</EnumerationResults>"
        return self._send(writer, 200, f'\ufeff<?xml version="1.0" encoding="utf-8"?>{page}'.encode())

    def _item(self, name: str) -> str:
        content = self.blobs[name]
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        md5 = f"<Content-MD5>{digest}</Content-MD5>" if self.has_md5 else "<Content-MD5 />"
        properties = f"<Content-Length>{len(content)}</Content-Length><Etag>{etag_of(content)}</Etag>{md5}"
        return f"<Blob><Name>{escape(name)}</Name><Properties>{properties}</Properties></Blob>"

    def _read(self, name: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        if self.redirects:
            return self._send(writer, 302, b"", extra=f"Location: {self.redirects}\r\n")
        if "range" in headers:
            return self._send(writer, 200, b"")
        self.requested[name] += 1
        self._pass_time()
        if name not in self.blobs:
            return self._send(writer, 404, b"<Error><Code>BlobNotFound</Code></Error>")
        content = self.blobs[name]
        etag = f'"{etag_of(content)}"'
        is_other = self.honours_if_match and headers.get("if-match", etag.lower()) != etag.lower()
        if self.never_settles or is_other:
            return self._send(writer, 412, b"")
        if headers.get("if-none-match") == etag.lower():
            return self._send(writer, 304, b"")
        queue = self.faults.get(name)
        return self._deliver(queue.pop(0) if queue else "", name, content, writer)

    def _deliver(self, fault: str, name: str, content: bytes, writer: asyncio.StreamWriter) -> bool:
        match fault:
            case "busy" | "later" | "forbidden":
                status, extra = _REFUSALS[fault]
                return self._send(writer, status, b"", extra=extra)
            case "truncated" | "stall":
                writer.write(self._head(200, len(content), content) + content[: len(content) // 2])
                return fault == "stall"
            case "endless":
                writer.write(f'HTTP/1.1 200 OK\r\nETag: "{etag_of(content)}"\r\n\r\n'.encode() + content[:-1])
                return False
            case "short" | "flip" | "encoded":
                other = {"short": content[:-1], "flip": bytes([content[0] ^ 1]) + content[1:]}
                extra = "Content-Encoding: gzip\r\n" if fault == "encoded" else ""
                return self._send(writer, 200, other.get(fault, content), content, extra)
            case _:
                self.delivered[name] += 1
                encoding = f"Content-Encoding: {self.encodings[name]}\r\n" if name in self.encodings else ""
                return self._send(writer, 200, content, content, encoding)

    def _pass_time(self) -> None:
        self.reads_before_expiry -= 1
        if self.reads_before_expiry == -1:
            self.signatures.clear()
        self.changes_after -= 1
        if self.changes_after == -1:
            self.blobs = self.next_blobs

    def _send(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        body: bytes,
        version: bytes | None = None,
        extra: str = "",
    ) -> bool:
        head = self._head(status, len(body), body if version is None else version)
        writer.write(head.replace(b"\r\n", f"\r\n{extra}".encode(), 1) + body)
        return True

    @staticmethod
    def _head(status: int, length: int, version: bytes) -> bytes:
        return (
            f"HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\n"
            f'ETag: "{etag_of(version)}"\r\nLast-Modified: Sun, 22 Nov 2026 03:00:00 GMT\r\n\r\n'
        ).encode()
