"""HTTP for the receiver with bounds on requests that do not arrive: uvicorn itself waits for them without end."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 5.0
"""As long as the platform itself waits for an answer."""
MOST_UNFINISHED = 200
ACCEPTED_AT_ONCE = 128
"""Connections that asyncio accepts before a protocol hears of them: open files beside the unfinished ones."""


class BoundedProtocol(H11Protocol):
    """Ends a connection whose request head takes too long, and the oldest where too many requests are unfinished."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch_head()
        unfinished = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.is_unfinished]
        if len(unfinished) > MOST_UNFINISHED:
            min(unfinished, key=lambda one: one._since).transport.abort()  # noqa: SLF001  of this class

    def data_received(self, data: bytes) -> None:
        """Wait for a head until it is whole."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._cancel_deadline()
        super().connection_lost(exc)

    @property
    def is_unfinished(self) -> bool:
        """True until a request has arrived whole, or the connection is given up."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY} and not self.transport.is_closing()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
