"""Work in threads that a cancellation does not leave behind."""

import asyncio
import threading

import pytest

from blocks.threads import finish_in_thread

pytestmark = pytest.mark.asyncio


async def test_a_cancelled_caller_waits_for_the_thread() -> None:
    """A caller that is cancelled, also twice, ends only when its thread has, so that no lock is free before."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        began.set()
        go_on.wait()
        ended.set()

    caller = asyncio.create_task(finish_in_thread(write))
    await asyncio.to_thread(began.wait)
    for _ in range(2):
        caller.cancel()
        await asyncio.sleep(0.05)
        assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_results_and_errors_are_passed_on() -> None:
    """What the function returns or raises is what the caller gets."""
    assert await finish_in_thread(divmod, 7, 2) == (3, 1)

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await finish_in_thread(fail)
