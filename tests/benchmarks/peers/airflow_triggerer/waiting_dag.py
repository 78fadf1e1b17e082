"""A DAG whose mapped task waits in the triggerer, and the trigger: it polls as a user's own code would."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aiohttp
from airflow.sdk import BaseOperator, Context, dag, task
from airflow.triggers.base import BaseTrigger, TriggerEvent

POLL_SECONDS = 60


@cache
def client() -> aiohttp.ClientSession:
    """The one client of all triggers, made in the event loop that they share."""
    return aiohttp.ClientSession(os.environ["PLATFORM_URL"], raise_for_status=True)


class RunTrigger(BaseTrigger):
    """Yields an event when the export run has ended."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Import path and constructor arguments, from which the triggerer creates the trigger again."""
        return "waiting_dag.RunTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the run once a minute; the first polls of all triggers are spread over a minute."""
        await asyncio.sleep(random.uniform(0, POLL_SECONDS))
        while await self._state() != "Completed":  # noqa: ASYNC110  the platform tells nobody
            await asyncio.sleep(POLL_SECONDS)
        yield TriggerEvent(self.path)

    async def _state(self) -> str:
        async with client().get(self.path) as answer:
            return (await answer.json())["state"]


class WaitForExport(BaseOperator):
    """Waits for a run without a worker slot."""

    def __init__(self, *, path: str, **options: Any) -> None:
        super().__init__(**options)
        self.path = path

    def execute(self, context: Context) -> None:  # noqa: ARG002  Airflow's signature
        """Hand over to the triggerer."""
        self.defer(trigger=RunTrigger(self.path), method_name="execute_complete")

    def execute_complete(self, context: Context, event: str) -> str:  # noqa: ARG002  the same
        """Return the run."""
        return event


@task
def start_exports() -> list[str]:
    """The paths of the runs."""
    return []


@dag(schedule=None)
def wait_for_exports() -> None:
    """Wait for many exports."""
    WaitForExport.partial(task_id="wait").expand(path=start_exports())


wait_for_exports()
