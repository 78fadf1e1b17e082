"""Staleness: when the holder of a lease, or the process of a flow run, counts as dead.

A live process changes something on the Prefect server every few seconds (its heartbeat). Who depends on it reads that
again and again, and treats it as stale once it has stayed the same for a given time. The time is measured with the
reader's own clock, because clocks of different machines are never compared.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

MAX_COUNTED_SHARE = 0.2  # of `stale_seconds`: the most that one read adds to the unchanged time


@dataclass
class ObservedTime:
    """How long each of several values has stayed the same, counting only the time in which it could be read.

    Hours in which this machine slept or the server did not respond do not count: the process that sends the heartbeat
    may have slept along, or its heartbeats may not have been taken either.

    Args:
        longest_step: The most seconds that count between two reads.
        clock: Monotonic seconds.
    """

    longest_step: float
    clock: Callable[[], float] = time.monotonic
    seconds: float = 0.0
    _read_at: float | None = None
    _first_seen: dict[Hashable, float] = field(default_factory=dict[Hashable, float])

    def advance(self) -> None:
        """Count the time since the last read, up to the longest step."""
        now = self.clock()
        self.seconds += min(now - self._read_at, self.longest_step) if self._read_at is not None else 0.0
        self._read_at = now

    def keep(self, seen: Iterable[Hashable]) -> None:
        """Remember when each value was read first, and forget those that are no longer read."""
        self._first_seen = {one: self._first_seen.get(one, self.seconds) for one in seen}

    def age(self, one: Hashable) -> float:
        """For how many seconds a value has been read."""
        return self.seconds - self._first_seen[one]


class StalenessDetector:
    """Detects one heartbeat that has not changed for a given time.

    Args:
        stale_seconds: Seconds without a change; the time between two reads counts up to a fifth of them.
        clock: Monotonic seconds.
    """

    def __init__(self, stale_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stale_seconds = stale_seconds
        self._observed = ObservedTime(stale_seconds * MAX_COUNTED_SHARE, clock)

    def is_stale(self, heartbeat: Hashable) -> bool:
        """Compare with the previous reads; true once the heartbeat has been the same for `stale_seconds`."""
        self._observed.advance()
        self._observed.keep([heartbeat])
        return self._observed.age(heartbeat) >= self._stale_seconds
