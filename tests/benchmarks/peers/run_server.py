"""A small server that says of every export run that it goes on, and counts who asked."""

import asyncio
import threading
from collections import Counter
from contextlib import suppress

from deployments.local.waiting import free_port

BODY = b'{"state": "Executing"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class RunServer(threading.Thread):
    """HTTP server on loopback that answers every request with a run in state Executing; runs in a daemon thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.port = free_port()
        self.asked: Counter[bytes] = Counter()
        """How often each path was asked for."""

    def run(self) -> None:
        """Serve."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._answer, "127.0.0.1", self.port) as server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.asked[(await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]] += 1
                writer.write(ANSWER)
