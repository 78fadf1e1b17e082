"""A host in front of a stand-in platform: it passes requests on, and answers some of them with a bomb."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from tests.bombs.server import Answer, Query

PIECE = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@asynccontextmanager
async def bomb_before(platform: str, pattern: str, bomb: Callable[[str, Query], Answer]) -> AsyncGenerator[str]:
    """Serve the platform, and the bomb for each path that the pattern matches; gives the address.

    Every connection serves one request. Links of the platform lead here, because `Host` is passed on.
    """
    at = urlsplit(platform)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = urlsplit(head.split(b" ")[1].decode())
            if re.search(pattern, target.path):
                pieces = bomb(target.path, parse_qs(target.query, keep_blank_values=True))
            else:
                length = _LENGTH.search(head)
                pieces = _passed_on(
                    at.hostname, at.port, head + await reader.readexactly(int(length[1]) if length else 0)
                )
            async for piece in pieces:
                writer.write(piece)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _passed_on(host: str | None, port: int | None, request: bytes) -> Answer:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(re.sub(rb"\r\n", b"\r\nConnection: close\r\n", request, count=1))
    while piece := await reader.read(PIECE):
        yield piece
    writer.close()
