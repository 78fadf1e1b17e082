"""How long to keep trying one small step, and how long to wait between two tries."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from blocks.errors import InterruptedTransferError, LinkExpiredError, LinkRefusedError

T = TypeVar("T")


class ThrottledError(InterruptedTransferError):
    """The server asks for a pause.

    Attributes:
        retry_after: Seconds it asks for; 0 when it names none.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class BlobChangedError(InterruptedTransferError):
    """The blob is not the one the transfer began with: what was kept of it is worthless."""


@dataclass(frozen=True)
class RetryPolicy:
    """A back-off: pauses double from the first to the longest, in seconds, half of each left to chance."""

    attempts: int = 6
    first_pause: float = 0.5
    longest_pause: float = 30.0

    def pause(self, attempt: int, asked_for: float = 0.0) -> float:
        """Seconds to wait after the given attempt (from 1); a server may ask for more, up to the longest."""
        backoff = min(self.longest_pause, self.first_pause * 2 ** (attempt - 1))
        chance = random.uniform(0.5, 1)  # noqa: S311  spreads retries, guards no secret
        return min(self.longest_pause, max(backoff * chance, asked_for))


async def retry(step: Callable[[], Awaitable[T]], renew: Callable[[], Awaitable[None]], retry_policy: RetryPolicy) -> T:
    """Repeat a step until it works: pause after an interruption, renew the link after a refusal.

    Raises:
        BlobChangedError, LinkRefusedError: At once; repeating cannot help.
        InterruptedTransferError, LinkExpiredError: Once patience is exhausted.
    """
    for attempt in range(1, retry_policy.attempts):
        try:
            return await step()
        except (BlobChangedError, LinkRefusedError):
            raise
        except LinkExpiredError:
            await renew()
        except InterruptedTransferError as error:
            asked_for = error.retry_after if isinstance(error, ThrottledError) else 0.0
            await asyncio.sleep(retry_policy.pause(attempt, asked_for))
    return await step()
