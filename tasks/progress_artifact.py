"""Progress artifacts: of a batch, whose updates also serve as the heartbeat of its process, and of a single export."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from blocks.prefect_server.availability import while_it_answers
from blocks.settings import read_settings
from blocks.shown_text import in_markdown
from tasks.export_progress import ExportProgress, Showable, shown_exports

PROGRESS_SECONDS = 5.0
"""Between two updates in the first minute."""
FIRST_MINUTE = 60.0
LATER_SECONDS = 15.0


@asynccontextmanager
async def shown(progress: Showable, key: str) -> AsyncGenerator[None]:
    """Show the progress of a batch in the terminal, and in an artifact that is updated every few seconds."""
    if (active := shown_exports.get()) is not None:
        active.batch = progress
    artifact = _Artifact(progress, lambda: key)
    await artifact.create()
    try:
        async with _repeated(artifact.update):
            yield
    finally:
        await artifact.update()


@asynccontextmanager
async def shown_if_long(progress: ExportProgress) -> AsyncGenerator[None]:
    """The same for a single export: from its fifth second on, and only when there is something new to say."""
    artifact = _Artifact(progress, lambda: f"{progress.key}-progress")
    try:
        async with _repeated(artifact.show_change):
            yield
    finally:
        if artifact.id is not None:
            await artifact.show_change()


@asynccontextmanager
async def _repeated(step: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Take the step every few seconds until the block ends."""
    begun = time.monotonic()

    async def repeat() -> None:
        while True:
            await asyncio.sleep(pause_after(time.monotonic() - begun))
            await step()

    repeater = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeater.cancel()
        await asyncio.gather(repeater, return_exceptions=True)


def pause_after(seconds: float) -> float:
    """The pause before the next update: later a longer one, with room for six before a shard counts as gone."""
    if seconds < FIRST_MINUTE:
        return PROGRESS_SECONDS
    return min(LATER_SECONDS, max(PROGRESS_SECONDS, read_settings().shard_silence_seconds / 6))


@dataclass
class _Artifact:
    """A progress artifact; an update that fails is ignored, because the next one replaces it."""

    progress: Showable
    key: Callable[[], str]
    id: UUID | None = None
    _shown: tuple[float, str] | None = None

    async def create(self) -> None:
        """Create it.

        Raises:
            httpx.HTTPError: The Prefect server does not take it.
        """
        created = acreate_progress_artifact(self._percent, key=self.key(), description=self._sentence)
        self.id = await while_it_answers(created)

    async def update(self) -> None:
        """Write the current progress."""
        if self.id is None:
            return
        with contextlib.suppress(httpx.HTTPError):
            updated = aupdate_progress_artifact(self.id, self._percent, description=self._sentence)
            await while_it_answers(updated)

    async def show_change(self) -> None:
        """Write the current progress if it differs from what is shown; the first time, create the artifact."""
        now = self._percent, self._sentence
        if now == self._shown:
            return
        if self.id is None:
            with contextlib.suppress(httpx.HTTPError):
                await self.create()
        else:
            await self.update()
        self._shown = now

    @property
    def _percent(self) -> float:
        """Whole percents, for the UI shows every digit; 100 only once everything has ended."""
        return float(math.floor(self.progress.percent))

    @property
    def _sentence(self) -> str:
        return in_markdown(str(self.progress))
