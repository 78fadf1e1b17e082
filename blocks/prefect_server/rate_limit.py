"""One pace for all processes that share a Prefect server: a global concurrency limit whose slots decay.

The limit is a queue that all processes see: whoever wants to send takes slots for a portion of requests, looks how many
are taken, and waits until those before its own have decayed. Nobody is ever turned away, for that would cost everybody:
the server counts the decay from the last change, and being turned away is one. So the first come are first served, and
a killed process costs the others a second.

A portion is a second's worth, so that a budget of thousands a minute costs the Prefect server two requests a second.
While that server does not answer, each process keeps to its own pace; the platform's 429s are left to go by.

Prefect's page: https://docs.prefect.io/v3/concepts/global-concurrency-limits
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists

from blocks.errors import ExportError
from blocks.prefect_server.errors import prefect_errors

PORTION_SECONDS = 1.0
PORTION_LIFE_SECONDS = 20.0
"""What is not used by then lapses: idle processes hoard nothing."""
AWAY_SECONDS = 10.0
"""A Prefect server that did not answer is left alone for so long."""
LONGEST_QUEUE_WINDOWS = 60

log = logging.getLogger("prefect.itwin")


class LocalLimiter(Protocol):
    """Admits the requests of one process."""

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        ...

    def pause(self, seconds: float) -> bool:
        """Hold every request back for so many seconds; true if that begins a pause or makes it longer."""
        ...


@dataclass
class SharedRateLimiter:
    """Admits requests at a pace that all processes which name the same limit share.

    Args:
        name: Of the global concurrency limit; made on demand.
        budget: Requests of all processes together in a window of time.
        burst: Requests that may go at once, after a pause.
        local_limiter: The pace of this process, kept to in any case; or another shared limiter.
        window_seconds: Length of the window.
    """

    name: str
    budget: int
    burst: int
    local_limiter: LocalLimiter
    window_seconds: float = 60.0
    _left: int = 0
    _lapses_at: float = 0.0
    _away_until: float = 0.0
    _exists: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def admit(self) -> None:
        """Wait until one more request may be sent; first come, first served."""
        async with self._turn:
            if not self._has_some():
                await self._take_portion()
            self._left -= 1
        await self.local_limiter.admit()

    def pause(self, seconds: float) -> bool:
        """Hold every request of this process back; the others meet the platform's 429 themselves, once each."""
        return self.local_limiter.pause(seconds)

    @property
    def _per_second(self) -> float:
        """The steady flow: with the burst before it, no window holds more than the budget."""
        return max(1, self.budget - self.burst) / self.window_seconds

    @property
    def _portion(self) -> int:
        return max(1, min(self.burst, int(self._per_second * PORTION_SECONDS)))

    def _has_some(self) -> bool:
        now = time.monotonic()
        return now < self._away_until or (self._left > 0 and now < self._lapses_at)

    async def _take_portion(self) -> None:
        try:
            with prefect_errors("Sharing the request budget"):
                async with get_client() as client:
                    taken = await self._queue_up(client)
        except ExportError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("Requests go at this process's own pace for now. %s", error)
            return
        await asyncio.sleep(max(0.0, (taken - self.burst) / self._per_second))
        self._left = self._portion
        self._lapses_at = time.monotonic() + PORTION_LIFE_SECONDS

    async def _queue_up(self, client: PrefectClient) -> int:
        """Take slots for a portion; how many are taken then, ours at the end."""
        if not self._exists:
            await self._ensure_limit(client)
        await client.increment_concurrency_slots([self.name], self._portion, "rate_limit")
        return (await client.read_global_concurrency_limit_by_name(self.name)).active_slots

    async def _ensure_limit(self, client: PrefectClient) -> None:
        """Make the limit, or bring it to our figures; another process may be making it at the same moment."""
        longest = self.budget * LONGEST_QUEUE_WINDOWS
        try:
            await client.upsert_global_concurrency_limit_by_name(self.name, longest, self._per_second)
        except (ObjectAlreadyExists, httpx.HTTPStatusError):  # the server answers 500 to the second of two
            await client.read_global_concurrency_limit_by_name(self.name)
        self._exists = True
