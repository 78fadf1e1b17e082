"""Rate limiter for all requests of a process."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

WINDOW_SECONDS = 60.0
BURST_SHARE = 0.1
HOUR_SECONDS = 3600.0
SAME_PAUSE_SECONDS = 60.0
"""429 responses to concurrent requests that ask for pauses this similar count as one pause."""
RESOLUTION_SECONDS = 1e-6  # shorter waits are rounding errors


class Limiter(Protocol):
    """A rate limiter."""

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        ...

    def pause(self, seconds: float) -> bool:
        """Delay every request by this many seconds; true if that starts a pause or makes one longer."""
        ...


def burst_of(budget: int) -> int:
    """The number of requests that may be sent at once after an idle time: a tenth of the budget."""
    return max(1, int(budget * BURST_SHARE))


class RequestLimiter:
    """Admits at most a budget of requests in any window of time (a minute by default), first come first served.

    A tenth of the budget may be sent as a burst; the rest is spaced evenly. A pause that the platform asks for (429)
    delays the whole queue. So does a suspended process: requests that became due meanwhile are not sent as a burst.
    Safe to share between threads and event loops.

    Vendor page: https://developer.bentley.com/apis/overview/rate-limits

    Args:
        budget: Requests per window.
        window_seconds: Length of the window.
        clock: Monotonic seconds.
        sleep: Waits for a number of seconds.
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
        self._max_late = budget * self._spacing - window_seconds  # a slot this late still keeps to the budget
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._queue_delay = 0.0  # seconds by which the queue is behind the clock
        self._next = clock() - self._credit  # on the queue's time scale, as are all slots
        self._paused_until = clock()

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        slot = self._reserve()
        while (wait := self._wait_for(slot)) > RESOLUTION_SECONDS:
            await self._sleep(wait)

    def pause(self, seconds: float) -> bool:
        """Delay every request by this many seconds; true if that starts a pause or makes one longer."""
        with self._lock:
            now = self._clock()
            is_longer = now >= self._paused_until or now + seconds > self._paused_until + SAME_PAUSE_SECONDS
            self._next = max(self._next, now - self._queue_delay)  # no burst after the pause
            self._queue_delay += max(0.0, now + seconds - max(now, self._paused_until))
            self._paused_until = max(self._paused_until, now + seconds)
            return is_longer

    def _reserve(self) -> float:
        with self._lock:
            slot = max(self._next, self._clock() - self._queue_delay - self._credit)
            self._next = slot + self._spacing
            return slot

    def _wait_for(self, slot: float) -> float:
        with self._lock:
            now = self._clock()
            late = now - self._queue_delay - slot
            if late > self._max_late:
                self._queue_delay += late
            return -late


class CombinedLimiter:
    """A request is admitted once each of several limiters has admitted it.

    Args:
        limiters: In the order they are waited for; the one with the longest window first.
    """

    def __init__(self, *limiters: RequestLimiter) -> None:
        self._limiters = limiters

    async def admit(self) -> None:
        """Wait until one more request may be sent."""
        for limiter in self._limiters:
            await limiter.admit()

    def pause(self, seconds: float) -> bool:
        """Delay every request by this many seconds; true if that starts a pause or makes one longer."""
        longer = [limiter.pause(seconds) for limiter in self._limiters]
        return any(longer)


def new_limiter(requests_per_minute: int, requests_per_hour: int | None = None) -> RequestLimiter | CombinedLimiter:
    """A new limiter with a budget for the minute and, if given, one for the hour."""
    minute = RequestLimiter(requests_per_minute)
    hour = requests_per_hour and RequestLimiter(requests_per_hour, window_seconds=HOUR_SECONDS)
    return CombinedLimiter(hour, minute) if hour else minute
