"""A look at what is there holds good for a moment; a request that had to wait longer is not sent on its strength."""

import time
from collections.abc import Callable

from blocks.itwin.wire import Check

FRESH_SECONDS = 10.0
"""So long a look holds good; the request after it may wait longer for the rate limit."""
LOOKS = 3
"""Where requests always wait longer than that, the third look has to do."""


class OvertakenError(Exception):
    """What was seen no longer holds: nothing has been sent."""


def check_of_this_moment(
    number: int, *, fresh_seconds: float = FRESH_SECONDS, is_overtaken: Callable[[], bool] = lambda: False
) -> Check:
    """What to call right before the request that follows the look which begins now.

    Args:
        number: How many looks came before; the last of `LOOKS` may be old.
        fresh_seconds: So long it holds good.
        is_overtaken: Whether something was noted meanwhile.

    The check raises `OvertakenError` when the look is to be repeated.
    """
    looked_at = time.monotonic()

    def check() -> None:
        is_old = number + 1 < LOOKS and time.monotonic() - looked_at > fresh_seconds
        if is_old or is_overtaken():
            raise OvertakenError

    return check
