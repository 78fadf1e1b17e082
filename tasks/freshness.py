"""A look at what is there holds good for a moment; a request that had to wait longer is not sent on its strength."""

import time
from collections.abc import Callable

from blocks.itwin.transport import Precondition

FRESH_SECONDS = 10.0
"""So long a look holds good; the request after it may wait longer for the rate limit."""
MAX_READS = 3
"""Where requests always wait longer than that, the third look has to do."""


class StaleReadError(Exception):
    """What was seen no longer holds: nothing has been sent."""


def freshness_check(
    number: int, *, fresh_seconds: float = FRESH_SECONDS, is_overtaken: Callable[[], bool] = lambda: False
) -> Precondition:
    """What to call right before the request that follows the look which begins now.

    Args:
        number: How many looks came before; the last of `MAX_READS` may be old.
        fresh_seconds: So long it holds good.
        is_overtaken: Whether something was noted meanwhile.

    The check raises `StaleReadError` when the look is to be repeated.
    """
    looked_at = time.monotonic()

    def check() -> None:
        is_old = number + 1 < MAX_READS and time.monotonic() - looked_at > fresh_seconds
        if is_old or is_overtaken():
            raise StaleReadError

    return check
