"""The retry condition that all tasks use."""

import logging
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from blocks.errors import ExportError


async def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001  Prefect's shape
    """True if the task failed with a transient `ExportError` that no retry policy has repeated: Prefect repeats it."""
    outcome: object = await state.aresult(raise_on_failure=False)
    return isinstance(outcome, ExportError) and outcome.is_transient and not outcome.is_retried


class _WithoutExpectedTracebacks(logging.Filter):
    """Removes tracebacks of `ExportError` from logs: the message says what went wrong and what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ExportError):
            record.exc_info = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_WithoutExpectedTracebacks())
