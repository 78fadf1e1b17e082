"""What the exports of one batch share: its places at the platform. A single export has nothing to share."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar

_places: ContextVar[asyncio.Semaphore | None] = ContextVar("places", default=None)


def share_slots(count: int) -> None:
    """Let all exports that begin in this context together hold so many places."""
    _places.set(asyncio.Semaphore(count))


def in_batch() -> bool:
    """True in exports that are part of a batch."""
    return _places.get() is not None


def platform_slot() -> AbstractAsyncContextManager[None]:
    """Wait for a place and hold it while the platform works: what is fetched meanwhile takes none."""
    return _places.get() or nullcontext()
