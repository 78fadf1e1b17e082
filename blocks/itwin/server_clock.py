"""The platform's time, told by the `Date` of its responses and carried on by a monotonic clock.

A single `Date` is not believed: what the last two responses agree in is, or what this machine's clock confirms.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

AGREEMENT = timedelta(minutes=1)
"""Two clocks that differ by less say the same: a `Date` has whole seconds and is as old as its response took."""
LARGEST_JUMP = timedelta(days=1)
"""A larger jump of a time that was confirmed before is not believed, unless this machine's clock confirms it."""


class ServerClock:
    """The platform's clock as an offset to a monotonic clock.

    Until a `Date` is confirmed, the time is this machine's. From then on it never runs slower than the monotonic clock;
    it jumps ahead by what two responses in a row agree in, and back only to a time that this machine's clock confirms.

    Args:
        monotonic: Seconds that only advance.
        local_now: This machine's time (UTC).
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        local_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._monotonic = monotonic
        self._local_now = local_now
        self._began = monotonic()
        self._origin = local_now()
        """The time when `_began` was read; `_claimed` is the same as the latest response tells it."""
        self._claimed: datetime | None = None
        self.is_known = False

    def now(self) -> datetime:
        """The current time (UTC)."""
        return self._origin + self._elapsed()

    def elapsed_since(self, moment: datetime) -> timedelta:
        """The time since a moment, not negative; while the platform's time is in doubt, no more than this clock ran."""
        elapsed = max(timedelta(0), self.now() - moment)
        is_in_doubt = self._claimed is not None and not self.is_known
        return min(elapsed, self._elapsed()) if is_in_doubt else elapsed

    def not_ahead(self, moment: datetime) -> datetime:
        """The moment, or now if it lies ahead; unchanged until the platform's time is known."""
        return min(moment, self.now()) if self.is_known else moment

    def note(self, date: datetime | None) -> None:
        """Take the `Date` of a response into account; None if it has none."""
        if date is None:
            return
        claimed = date - self._elapsed()
        previous, self._claimed = self._claimed, claimed
        is_confirmed_here = _agree(date, self._local_now())
        if not self.is_known:
            self.is_known = is_confirmed_here or (previous is not None and _agree(claimed, previous))
            self._origin = claimed if self.is_known else self._origin
        elif is_confirmed_here and not _agree(claimed, self._origin):
            self._origin = claimed
        elif previous is not None:
            self._advance(min(previous, claimed))

    def _advance(self, origin: datetime) -> None:
        if timedelta(0) < origin - self._origin <= LARGEST_JUMP:
            self._origin = origin

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=self._monotonic() - self._began)


def _agree(one: datetime, other: datetime) -> bool:
    return abs(one - other) <= AGREEMENT
