"""What the decorators of all tasks share: which failures are worth another attempt."""

import logging
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from blocks.errors import ExportError


async def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001  Prefect's shape
    """True if the same attempt may work in a moment; everything else is final."""
    outcome: object = await state.aresult(raise_on_failure=False)
    return isinstance(outcome, ExportError) and outcome.is_transient


class _WithoutKnownTraces(logging.Filter):
    """Our errors are sentences for people: their stack says nothing more, in no log and no UI."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ExportError):
            record.exc_info = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_WithoutKnownTraces())
