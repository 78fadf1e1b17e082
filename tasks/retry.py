"""Retries of tasks, and results that retries of a flow run share."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

from prefect import Task
from prefect.cache_policies import INPUTS, RUN_ID, CachePolicy
from prefect.client.schemas.objects import State, TaskRun

from blocks.errors import ExportError


class Retries(TypedDict):
    """The arguments of `@task` that set its retries."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], Awaitable[bool]]


def retries_after(*seconds: float) -> Retries:
    """Repeat a task after a transient failure, once for each of these pauses in seconds."""
    return {"retries": len(seconds), "retry_delay_seconds": list(seconds), "retry_condition_fn": is_transient}


class OncePerFlowRun(Retries):
    """The same, and those that keep the result for retries of the flow run."""

    cache_policy: CachePolicy
    persist_result: bool
    result_serializer: str


def once_per_flow_run(*seconds: float) -> OncePerFlowRun:
    """Options of a task: the retries of `retries_after`, and a cached result for equal inputs within one flow run."""
    return {
        **retries_after(*seconds),
        "cache_policy": INPUTS - "credentials" + RUN_ID,
        "persist_result": True,
        "result_serializer": "json",
    }


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
