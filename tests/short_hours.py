"""Runs `itwin-export` with shorter hours for request budgets and `Retry-After`; all other times are unchanged.

`python -m tests.short_hours FACTOR …` is `itwin-export …` with hours shorter by this factor.
"""

import asyncio
import sys
import time

from blocks.itwin.rate_limit import RequestLimiter
from deployments.cli import main


def shorten_hours(factor: float) -> None:
    """Let the clock of rate limiters run faster."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / factor)

    defaults = RequestLimiter.__init__.__kwdefaults__ or {}
    defaults.update(clock=lambda: time.monotonic() * factor, sleep=sleep)


if __name__ == "__main__":
    shorten_hours(float(sys.argv.pop(1)))
    main()
