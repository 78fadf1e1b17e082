"""Slots that limit how many exports of a batch wait for the platform at once; a single export is not limited."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar

_slots: ContextVar[asyncio.Semaphore | None] = ContextVar("platform_slots", default=None)


def share_slots(count: int) -> None:
    """Limit the exports that start in this context to `count` slots in total."""
    _slots.set(asyncio.Semaphore(count))


def in_batch() -> bool:
    """True if the current export is part of a batch."""
    return _slots.get() is not None


def platform_slot() -> AbstractAsyncContextManager[None]:
    """Acquire a slot for the time that the platform works on an export; downloads need no slot."""
    return _slots.get() or nullcontext()
