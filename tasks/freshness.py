"""Preconditions that stop a request when the read it is based on has become too old.

A request may wait for the rate limit after the read. If it waits longer than `FRESH_SECONDS`, the read is repeated.
"""

import time
from collections.abc import Callable

from blocks.itwin.transport import Precondition

FRESH_SECONDS = 10.0
"""Highest age of a read, in seconds, at which the request based on it is sent."""
MAX_READS = 3
"""The last of three reads is accepted at any age."""


class StaleReadError(Exception):
    """The read is too old or another process has acted since; the request was not sent."""


def freshness_check(
    number: int, *, fresh_seconds: float = FRESH_SECONDS, has_newer_record: Callable[[], bool] = lambda: False
) -> Precondition:
    """Create the precondition of a request that follows a read which begins now; the transport calls it before sending.

    The precondition raises `StaleReadError` when the read must be repeated.

    Args:
        number: Number of earlier reads; the last of `MAX_READS` is accepted at any age.
        fresh_seconds: Highest age of the read.
        has_newer_record: True if another process has recorded something since the read.
    """
    read_at = time.monotonic()

    def check() -> None:
        is_old = number + 1 < MAX_READS and time.monotonic() - read_at > fresh_seconds
        if is_old or has_newer_record():
            raise StaleReadError

    return check
