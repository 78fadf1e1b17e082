"""One pace for all requests of a process."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

WINDOW_SECONDS = 60.0
BURST_SHARE = 0.1
HOUR_SECONDS = 3600.0
SAME_PAUSE_SECONDS = 60.0
"""Answers that were on their way together ask for the same pause, give or take so much."""
RESOLUTION_SECONDS = 1e-6  # shorter waits are rounding errors


class Limiter(Protocol):
    """Says when a request may be sent."""

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        ...

    def pause(self, seconds: float) -> bool:
        """Hold every request back for so many seconds; true if that begins a pause or makes it longer."""
        ...


def burst_of(budget: int) -> int:
    """Requests that may go at once, after a pause."""
    return max(1, int(budget * BURST_SHARE))


class RequestLimiter:
    """Admits at most a budget of requests in any window of time (a minute by default), first come first served.

    A tenth of the budget may go at once; the rest flows evenly, so that a long queue moves steadily. A pause asked for
    by the platform (429) puts the whole queue off, and so does a process that stood still: the requests that fell due
    meanwhile do not all go at once. Safe to share between threads and event loops.

    Vendor page: https://developer.bentley.com/apis/overview/rate-limits
    """

    def __init__(
        self,
        budget: int,
        *,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        burst = burst_of(budget)
        self._spacing = window_seconds / max(1, budget - burst)
        self._credit = (burst - 1) * self._spacing
        self._latest = budget * self._spacing - window_seconds  # so late, the budget is still kept to
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._put_off = 0.0  # by how much the queue is behind the clock
        self._next = clock() - self._credit  # in the queue's time, as are all slots
        self._paused_until = clock()

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        slot = self._reserve()
        while (wait := self._wait_for(slot)) > RESOLUTION_SECONDS:
            await self._sleep(wait)

    def pause(self, seconds: float) -> bool:
        """Hold every request back for so many seconds; true if that begins a pause or makes it longer."""
        with self._lock:
            now = self._clock()
            is_longer = now >= self._paused_until or now + seconds > self._paused_until + SAME_PAUSE_SECONDS
            self._next = max(self._next, now - self._put_off)  # no burst after the pause
            self._put_off += max(0.0, now + seconds - max(now, self._paused_until))
            self._paused_until = max(self._paused_until, now + seconds)
            return is_longer

    def _reserve(self) -> float:
        with self._lock:
            slot = max(self._next, self._clock() - self._put_off - self._credit)
            self._next = slot + self._spacing
            return slot

    def _wait_for(self, slot: float) -> float:
        with self._lock:
            now = self._clock()
            late = now - self._put_off - slot
            if late > self._latest:
                self._put_off += late
            return -late


class CombinedLimiter:
    """Admits what each of several limiters admits.

    Args:
        limiters: The one with the longest window first, so that the last decides about the pace.
    """

    def __init__(self, *limiters: RequestLimiter) -> None:
        self._limiters = limiters

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        for limiter in self._limiters:
            await limiter.admit()

    def pause(self, seconds: float) -> bool:
        """Hold every request back for so many seconds; true if that begins a pause or makes it longer."""
        longer = [limiter.pause(seconds) for limiter in self._limiters]
        return any(longer)


_limiters: dict[str, RequestLimiter | CombinedLimiter] = {}
_limiters_lock = threading.Lock()


def limiter_for(
    api_url: str, requests_per_minute: int, requests_per_hour: int | None = None
) -> RequestLimiter | CombinedLimiter:
    """The limiter that all requests of this process to one API share; the first budgets named win."""
    with _limiters_lock:
        if api_url not in _limiters:
            minute = RequestLimiter(requests_per_minute)
            hour = requests_per_hour and RequestLimiter(requests_per_hour, window_seconds=HOUR_SECONDS)
            _limiters[api_url] = CombinedLimiter(hour, minute) if hour else minute
        return _limiters[api_url]
