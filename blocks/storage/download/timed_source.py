"""Time limit of each answer to a range request, so that a host that sends a byte now and then is given up."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager

from blocks.bounds import LEAST_SPEED
from blocks.errors import InterruptedTransferError
from blocks.storage.download.source import BlobProperties, RangeSource


class TimedSource:
    """A `RangeSource` of which no answer takes longer than its bytes would at `LEAST_SPEED`.

    Args:
        source: Where the ranges come from.
        seconds: For an answer without content, and for the beginning of one with content.
    """

    def __init__(self, source: RangeSource, seconds: float) -> None:
        self.chunk_size = source.chunk_size
        self.renew = source.renew
        self._source = source
        self._seconds = seconds

    async def properties(self) -> BlobProperties:
        """Request the blob's properties."""
        with _too_slow():
            async with asyncio.timeout(self._seconds):
                return await self._source.properties()

    async def read(self, start: int, length: int, properties: BlobProperties) -> AsyncGenerator[bytes]:
        """Yield the pieces; only waiting for them is timed, because a timeout must not reach into the caller."""
        left = self._seconds + length / LEAST_SPEED
        async with aclosing(self._source.read(start, length, properties)) as pieces:
            while True:
                asked_at = time.monotonic()
                with _too_slow():
                    async with asyncio.timeout(left):
                        piece = await anext(pieces, None)
                if piece is None:
                    return
                left -= time.monotonic() - asked_at
                yield piece


@contextmanager
def _too_slow() -> Generator[None]:
    try:
        yield
    except TimeoutError:
        raise InterruptedTransferError(f"The host sent less than {LEAST_SPEED} bytes a second.") from None
