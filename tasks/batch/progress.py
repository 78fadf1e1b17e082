"""Progress artifact of a batch, updated every five seconds; the updates also serve as the heartbeat of its process."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from blocks.prefect_server.availability import while_it_answers

PROGRESS_SECONDS = 5.0


class Showable(Protocol):
    """A progress value: `str()` gives a sentence for people."""

    @property
    def percent(self) -> float:
        """Share of the work that has ended, successfully or not, from 0 to 100."""
        ...


@asynccontextmanager
async def shown(progress: Showable, itwin_id: str) -> AsyncGenerator[None]:
    """Create a progress artifact and update it until the block ends."""
    artifact = await acreate_progress_artifact(
        progress.percent, key=f"export-itwin-progress-{itwin_id}", description=str(progress)
    )
    updater = asyncio.create_task(_keep_current(artifact, progress))
    try:
        yield
    finally:
        updater.cancel()
        await asyncio.gather(updater, return_exceptions=True)
        await _update(artifact, progress)


async def _keep_current(artifact: UUID, progress: Showable) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        await _update(artifact, progress)


async def _update(artifact: UUID, progress: Showable) -> None:
    """Write the current progress; an update that fails is ignored, because the next one replaces it."""
    with contextlib.suppress(httpx.HTTPError):
        await while_it_answers(aupdate_progress_artifact(artifact, progress.percent, description=str(progress)))
