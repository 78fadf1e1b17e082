"""An Airflow DAG whose wait is a deferrable operator, as Airflow's documentation writes one."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context, dag, task
from airflow.triggers.base import BaseTrigger, TriggerEvent
from itwin_calls import fetch, find_changeset, find_connection, read_run, sign_in, start_run

RETRIES = {"retries": 3, "retry_delay": 5}


class RunTrigger(BaseTrigger):
    """Yields an event when the export run has ended."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Import path and constructor arguments, from which the triggerer creates the trigger again."""
        return "export_dag.RunTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the run."""
        http = await asyncio.to_thread(sign_in)
        while (run := await asyncio.to_thread(read_run, http, self.path)) is None:  # noqa: ASYNC110  the platform tells nobody
            await asyncio.sleep(5)
        yield TriggerEvent(run)


class WaitForExport(BaseOperator):
    """Waits for the run without a worker slot."""

    template_fields = ("path",)

    def __init__(self, *, path: str, **options: Any) -> None:
        super().__init__(**options)
        self.path = path

    def execute(self, context: Context) -> None:  # noqa: ARG002  Airflow's signature
        """Hand over to the triggerer."""
        self.defer(trigger=RunTrigger(self.path), method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  the same
        """Return the run."""
        return event


@task(**RETRIES)
def start_export(params: dict[str, Any]) -> str:
    """Start the export run of the latest changeset."""
    with sign_in() as http:
        changeset_id = find_changeset(http, params["imodel_id"])
        return start_run(http, find_connection(http, params["imodel_id"]), changeset_id)


@task(**RETRIES)
def fetch_files(run: dict[str, Any]) -> None:
    """Download the files of the run."""
    with sign_in() as http:
        fetch(http, run, Path(os.environ["OUTPUT_DIR"]))


@dag(schedule=None, params={"imodel_id": ""})
def export_ifc() -> None:
    """Export one iModel as IFC."""
    finished = WaitForExport(task_id="wait_for_export", path=start_export(), **RETRIES)
    fetch_files(finished.output)


export_ifc()
