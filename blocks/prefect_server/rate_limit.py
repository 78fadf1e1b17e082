"""Rate limiter for all processes that share a Prefect server, built on a global concurrency limit with slot decay.

The limit works as a shared queue: a process takes slots for a batch of requests, reads the number of active slots, and
waits until the slots before its own have decayed. Requests queue; a rejection would reset the server's decay timer,
so the limit is large enough that none is rejected. Requests are admitted in order of arrival, and a killed process
delays the others by one batch.

A batch covers one second, so that a budget of thousands a minute needs two requests a second to the Prefect server.
While that server does not respond, each process uses its local limiter and handles 429 responses itself.

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

BATCH_SECONDS = 1.0
BATCH_LIFETIME_SECONDS = 20.0
"""An unused batch expires after this time, so that idle processes reserve nothing."""
RETRY_AFTER_SECONDS = 10.0
"""Time without requests to a Prefect server that did not respond."""
LONGEST_QUEUE_WINDOWS = 60

log = logging.getLogger("prefect.itwin")


class LocalLimiter(Protocol):
    """A rate limiter of one process."""

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        ...

    def pause(self, seconds: float) -> bool:
        """Delay every request by this many seconds; true if that starts a pause or makes one longer."""
        ...


@dataclass
class SharedRateLimiter:
    """A rate limiter shared by all processes that use the same limit name.

    Args:
        name: Name of the global concurrency limit, which is created if missing.
        budget: Requests per window, of all processes together.
        burst: Requests that may be sent at once after an idle time.
        local_limiter: Rate limiter of this process, or another shared one, which every request also passes.
        window_seconds: Length of the window in seconds.
    """

    name: str
    budget: int
    burst: int
    local_limiter: LocalLimiter
    window_seconds: float = 60.0
    _left: int = 0
    _expires_at: float = 0.0
    _unavailable_until: float = 0.0
    _exists: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def admit(self) -> None:
        """Wait until one more request may be sent, in order of arrival."""
        async with self._lock:
            if not self._has_batch():
                await self._take_batch()
            self._left -= 1
        await self.local_limiter.admit()

    def pause(self, seconds: float) -> bool:
        """Delay every request of this process; other processes get a 429 of their own first."""
        return self.local_limiter.pause(seconds)

    @property
    def _per_second(self) -> float:
        """Steady rate; together with a burst no window exceeds the budget."""
        return max(1, self.budget - self.burst) / self.window_seconds

    @property
    def _batch_size(self) -> int:
        return max(1, min(self.burst, int(self._per_second * BATCH_SECONDS)))

    def _has_batch(self) -> bool:
        now = time.monotonic()
        return now < self._unavailable_until or (self._left > 0 and now < self._expires_at)

    async def _take_batch(self) -> None:
        try:
            with prefect_errors("Share the request budget"):
                async with get_client() as client:
                    taken = await self._queue_up(client)
        except ExportError as error:
            self._unavailable_until = time.monotonic() + RETRY_AFTER_SECONDS
            log.warning("The shared rate limit is not available; this process uses its own for now. %s", error)
            return
        await asyncio.sleep(max(0.0, (taken - self.burst) / self._per_second))
        self._left = self._batch_size
        self._expires_at = time.monotonic() + BATCH_LIFETIME_SECONDS

    async def _queue_up(self, client: PrefectClient) -> int:
        """Take slots for a batch; returns the number of active slots, the last of which are ours."""
        if not self._exists:
            await self._ensure_limit(client)
        await client.increment_concurrency_slots([self.name], self._batch_size, "rate_limit")
        return (await client.read_global_concurrency_limit_by_name(self.name)).active_slots

    async def _ensure_limit(self, client: PrefectClient) -> None:
        """Create or update the limit; another process may be creating it at the same time."""
        longest = self.budget * LONGEST_QUEUE_WINDOWS
        try:
            await client.upsert_global_concurrency_limit_by_name(self.name, longest, self._per_second)
        except (ObjectAlreadyExists, httpx.HTTPStatusError):  # the server answers 500 to the second of two creations
            await client.read_global_concurrency_limit_by_name(self.name)
        self._exists = True
