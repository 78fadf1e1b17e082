"""How far a batch is: one artifact, kept up to date, which is also the sign that its process lives."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

PROGRESS_SECONDS = 5.0


class Showable(Protocol):
    """What can be shown: a sentence and a percentage."""

    @property
    def percent(self) -> float:
        """How much is over, however it ended."""
        ...


@asynccontextmanager
async def shown(progress: Showable, itwin_id: str) -> AsyncGenerator[None]:
    """One progress artifact, kept up to date while the block lasts."""
    artifact = await acreate_progress_artifact(
        progress.percent, key=f"export-itwin-progress-{itwin_id}", description=str(progress)
    )
    keeper = asyncio.create_task(_keep_current(artifact, progress))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await _update(artifact, progress)


async def _keep_current(artifact: UUID, progress: Showable) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        await _update(artifact, progress)


async def _update(artifact: UUID, progress: Showable) -> None:
    """Tell how far it is; where the server is away, the next time tells."""
    with contextlib.suppress(httpx.HTTPError):
        await aupdate_progress_artifact(artifact, progress.percent, description=str(progress))
