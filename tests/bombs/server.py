"""A host on loopback whose answers are too large, never end or come a byte at a time."""

import asyncio
import gzip
import json
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

MIB = 1024 * 1024
Query = dict[str, list[str]]
Answer = AsyncIterator[bytes]


def whole(body: bytes, extra: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def nested(size: int) -> bytes:
    return b"[" * size


def members(count: int) -> bytes:
    """An object that takes 20 times its text once it is parsed."""
    return b'{"asset":{},%s}' % b",".join(b'"%x":{}' % number for number in range(count))


async def _once(answer: bytes) -> Answer:
    yield answer


async def _endless(head: str, piece: bytes) -> Answer:
    """A body without a length, in chunks."""
    yield f"HTTP/1.1 {head}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
    while True:
        yield chunk


def bomb_of_spaces() -> bytes:
    """Two gigabytes in two megabytes."""
    member = gzip.compress(b" " * (64 * MIB), mtime=0)
    return member * 32


def page_of_imodels(query: Query) -> bytes:
    start = int(query.get("$skip", ["0"])[0])
    items = [{"id": f"{start + index:036}", "displayName": "x" * 200} for index in range(1000)]
    return whole(json.dumps({"iModels": items}).encode())


def page_of_blobs(query: Query) -> bytes:
    start = int(query["marker"][0] or 0)
    names = (f"tiles/{start + index:08}/{'n' * 60}.glb" for index in range(5000))
    facts = (
        "<Content-Length>9</Content-Length><Etag>0x8D000000</Etag><Content-MD5>CY9rzUYh03PK3k6DJie09g==</Content-MD5>"
    )
    blobs = "".join(f"<Blob><Name>{name}</Name><Properties>{facts}</Properties></Blob>" for name in names)
    text = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{start + 5000}</NextMarker></EnumerationResults>"
    return whole(text.encode())


def next_document(path: str) -> bytes:
    """A tileset that names another one, and so on."""
    number = int("".join(filter(str.isdigit, path)) or 0)
    return whole(json.dumps({"root": {"content": {"uri": f"{number + 1}.json"}}}).encode())


def small_subtree() -> bytes:
    """A hundred bytes that speak of a billion tiles."""
    text = json.dumps({"contentAvailability": [{"constant": 1}], "childSubtreeAvailability": {"constant": 1}}).encode()
    return struct.pack("<4sIQQ", b"subt", 1, len(text), 0) + text


def implicit_root(levels: int) -> bytes:
    tiling = {"subdivisionScheme": "OCTREE", "subtreeLevels": levels, "subtrees": {"uri": "{level}/{x}/{y}/{z}"}}
    return whole(json.dumps({"root": {"content": {"uri": "c/{level}/{x}/{y}/{z}"}, "implicitTiling": tiling}}).encode())


@asynccontextmanager
async def serving(answer: Callable[[str, Query], Answer]) -> AsyncGenerator[str]:
    """Serve an answer for each path and query, on as many connections as are made; gives the address."""
    connections = dict[asyncio.StreamWriter, asyncio.Event]()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.Event()
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                target = urlsplit(request.split(b" ")[1].decode())
                async for piece in answer(target.path, parse_qs(target.query, keep_blank_values=True)):
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            connections[writer].set()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer, ended in connections.items():
            writer.transport.abort()
            await ended.wait()


def without_listing(then: Callable[[str], Answer]) -> Callable[[str, Query], Answer]:
    """A host of tiles that does not list."""

    def answer(path: str, query: Query) -> Answer:
        return _once(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n") if "comp" in query else then(path)

    return answer


SMALL_ROOT = whole(json.dumps({"root": {"content": {"uri": "a"}}}).encode())


def _tiles(root: bytes, content: Callable[[], Answer]) -> Callable[[str, Query], Answer]:
    return without_listing(lambda path: _once(root) if path.endswith("tileset.json") else content())


def _range(_path: str, _query: Query) -> Answer:
    """The range that was asked for, but going on for ever."""
    head = '206 OK\r\nx-ms-blob-type: BlockBlob\r\nLast-Modified: Sun, 22 Nov 2026 03:00:00 GMT\r\nETag: "v1"'
    return _endless(f"{head}\r\nContent-Range: bytes 0-999/100000", b"x" * MIB)


def _deep(path: str, query: Query) -> Answer:
    del path, query
    return _once(whole(nested(15 * MIB)))


BOMBS: dict[str, tuple[str, Callable[[str, Query], Answer]]] = {
    "a compressed answer": ("imodel", lambda _p, _q: _once(whole(bomb_of_spaces(), "Content-Encoding: gzip\r\n"))),
    "an answer without end": ("imodel", lambda _p, _q: _endless("200 OK", b" " * MIB)),
    "an error without end": ("imodel", lambda _p, _q: _endless("404 No", b" " * MIB)),
    "a deep answer": ("imodel", _deep),
    "a large answer": ("imodel", lambda _p, _q: _once(whole(members(900_000)))),
    "a list without end": ("imodels", lambda _p, query: _once(page_of_imodels(query))),
    "a listing without end": ("tiles", lambda _p, query: _once(page_of_blobs(query))),
    "a page of a listing without end": ("tiles", lambda _p, _q: _endless("200 OK", b"<Blob>" * 100_000)),
    "a tile that declares four gigabytes": (
        "tiles", _tiles(SMALL_ROOT, lambda: _once(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n")),
    ),
    "a large tileset.json": ("tiles", _tiles(whole(members(3_000_000)), lambda: _once(b""))),
    "documents without end": ("tiles", without_listing(lambda path: _once(next_document(path)))),
    "a subtree of a billion tiles": ("tiles", _tiles(implicit_root(10), lambda: _once(whole(small_subtree())))),
    "subtrees of many tiles": ("tiles", _tiles(implicit_root(5), lambda: _once(whole(small_subtree())))),
    "a range without a length": ("azure", _range),
}  # fmt: skip
"""What is asked for, by the victim's name for it, and how it is answered."""


async def slowly(start: bytes, piece: bytes) -> Answer:
    """What begins like an answer and goes on for ever, a piece at a time."""
    yield start
    while True:
        await asyncio.sleep(0.05)
        yield piece


SLOW: dict[str, tuple[bytes, bytes]] = {
    "head": (b"X-Long: ", b"x"),
    "many heads": (b"\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": (b"Content-Length: 900\r\n\r\n", b" "),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
"""Answers that come a byte, or a line, at a time: how they begin after the first headers, and how they go on."""


def slow_answer(kind: str, headers: str = "") -> Answer:
    """An answer that begins well."""
    start, piece = SLOW[kind]
    status = "103 Early Hints" if kind == "many heads" else "206 Partial Content" if headers else "200 OK"
    return slowly(f"HTTP/1.1 {status}\r\n{headers}".encode() + start, piece)
