"""Retry policy with exponential back-off for one request of a download.

It is the only layer that repeats a request: an error that has used up its attempts is marked (`is_retried`), and the
task that runs the download does not repeat it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from blocks.errors import InterruptedTransferError, LinkExpiredError, LinkRefusedError

T = TypeVar("T")


class ThrottledError(InterruptedTransferError):
    """The server is overloaded or asks for a pause (408, 425, 429 or 5xx).

    Attributes:
        retry_after: Seconds it asks for; 0 if it names none.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message, retry_after)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class BlobChangedError(InterruptedTransferError):
    """The blob was replaced since the download started; the parts already downloaded must be discarded."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter.

    Attributes:
        attempts: Maximum number of attempts.
        first_pause: Seconds after the first attempt; doubles with each.
        longest_pause: Maximum pause in seconds, also for `Retry-After`.
    """

    attempts: int = 12
    first_pause: float = 0.5
    longest_pause: float = 60.0

    def pause(self, attempt: int, asked_for: float = 0.0) -> float:
        """Seconds to wait after an attempt (from 1): jittered back-off or `asked_for` if longer, up to the longest."""
        backoff = min(self.longest_pause, self.first_pause * 2 ** (attempt - 1))
        jitter = random.uniform(0.5, 1)  # noqa: S311  jitter needs no secure random numbers
        return min(self.longest_pause, max(backoff * jitter, asked_for))


async def retry(step: Callable[[], Awaitable[T]], renew: Callable[[], Awaitable[None]], retry_policy: RetryPolicy) -> T:
    """Repeat a step until it succeeds: pause after an interruption, renew the link after a rejection.

    Raises:
        BlobChangedError, LinkRefusedError: Immediately; retrying cannot help.
        InterruptedTransferError, LinkExpiredError: After the last attempt; marked as retried.
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
    try:
        return await step()
    except (InterruptedTransferError, LinkExpiredError) as error:
        error.is_retried = not isinstance(error, BlobChangedError)
        raise
