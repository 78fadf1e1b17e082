"""The outcome of a finished export run, from its own result and those of all jobs and tasks.

A run can have the result Success while a task has Error, as in the sample of
https://developer.bentley.com/apis/export/operations/get-export-connection-runs/.
"""

from collections.abc import Iterator

from blocks.errors import (
    FailedTask,
    PartialSuccessError,
    RunCanceledError,
    RunFailedError,
    RunSkippedError,
    RunTimedOutError,
    is_public_link,
    without_secrets,
)
from blocks.foreign_data import web_address
from blocks.itwin.models import ExecutionResult, ExportRun, ExportTask, Result

USER_NOT_AUTHENTICATED = "UserNotAuthenticated"
NOT_FAILED = frozenset({ExecutionResult.SUCCESS, ExecutionResult.UNDETERMINED})
HAS_OUTPUT = frozenset({ExecutionResult.SUCCESS, ExecutionResult.PARTIAL_SUCCESS})
FAILURES: dict[ExecutionResult, tuple[type[RunFailedError], str]] = {
    ExecutionResult.ERROR: (RunFailedError, "failed"),
    ExecutionResult.TIMED_OUT: (RunTimedOutError, "exceeded the platform's time limit (TimedOut)"),
    ExecutionResult.CANCELED: (RunCanceledError, "was canceled on the platform"),
    ExecutionResult.SKIPPED: (RunSkippedError, "was skipped by the platform"),
    ExecutionResult.PARTIAL_SUCCESS: (PartialSuccessError, "left something out (PartialSuccess)"),
}


def evaluate_run(run: ExportRun, *, imodel_id: str, accept_partial: bool) -> tuple[str, ...]:
    """Check the results of a finished run; returns warnings if its output can be used.

    Args:
        run: A run whose state is final.
        imodel_id: The iModel, for messages.
        accept_partial: Accept the result PartialSuccess, with a warning.

    Raises:
        RunFailedError: The output cannot be used; the subclass tells the result, the message lists each task's error.
    """
    failed = [task for task in run.tasks if _has_error(task)]
    messages = tuple(_task_error(task) for task in failed)
    worst = _worst(run)
    if worst is ExecutionResult.SUCCESS:
        return messages
    if worst is ExecutionResult.PARTIAL_SUCCESS and accept_partial:
        return (f"Export run {run.id} left something out (PartialSuccess).", *messages)
    kind, how = (
        FAILURES.get(worst, (RunFailedError, "")) if isinstance(worst, ExecutionResult) else (RunFailedError, "")
    )
    how = how or f"ended with the unknown result “{worst}”"
    summary = f"Export run {run.id} of iModel {imodel_id} {how}."
    said = f"{summary} {' '.join(messages) or _run_error(run)}".strip()
    raise kind(said, tuple(_failed_task(task) for task in failed), summary if messages else said)


def lacks_consent(run: ExportRun) -> bool:
    """True if the run failed for lack of the user's consent (undocumented for exports; Synchronization API)."""
    return run.error is not None and run.error.error_key == USER_NOT_AUTHENTICATED


def _worst(run: ExportRun) -> Result:
    """The worst result of the run, its jobs and its tasks: unknown ones first, then in the order of `FAILURES`."""
    results = list(_results(run))
    if run.result is ExecutionResult.PARTIAL_SUCCESS and any(task.result in HAS_OUTPUT for task in run.tasks):
        return ExecutionResult.PARTIAL_SUCCESS  # the failed tasks are what was left out
    for result in results:
        if not isinstance(result, ExecutionResult):
            return result
    for failure in FAILURES:
        if failure in results:
            return failure
    return run.result


def _results(run: ExportRun) -> Iterator[Result]:
    """The run's result and those of jobs and tasks that failed; `Undetermined` on a job or task is ignored."""
    yield run.result if run.result is not ExecutionResult.UNDETERMINED else str(run.result)
    for job in run.jobs:
        yield from (result for result in (job.result, *(task.result for task in job.tasks)) if result not in NOT_FAILED)


def _has_error(task: ExportTask) -> bool:
    return task.error is not None or task.result not in NOT_FAILED


def _task_error(task: ExportTask) -> str:
    error = task.error
    parts = [f"Task {task.id}: {task.result}"]
    if error is not None:
        texts = (error.description or error.message, error.details)
        parts += [f"in phase {error.phase}"] if error.phase else []
        parts += [f"({error.error_code})"] if error.error_code else []
        parts += [f"– {' '.join(text for text in texts if text)}"] if any(texts) else []
        parts += [f"Exit code {error.bridge_exit_code}."] if error.bridge_exit_code is not None else []
        parts += ["You can correct this yourself."] if error.can_user_fix else []
        parts += [f"See {article}"] if (article := _without_query(error.kb_article_link or "")) else []
    return without_secrets(" ".join(parts)).rstrip(".") + "."


def _failed_task(task: ExportTask) -> FailedTask:
    error = task.error
    if error is None:
        return FailedTask(task.id, str(task.result))
    texts = (error.description or error.message, error.details)
    return FailedTask(
        task.id,
        str(task.result),
        phase=error.phase or "",
        code=error.error_code or "",
        description=without_secrets(" ".join(text for text in texts if text)),
        can_user_fix=error.can_user_fix,
        kb_article_link=_public(error.kb_article_link or ""),
    )


def _public(link: str) -> str:
    """An article's address with its query, which names the article; empty if it could give something away."""
    return web_address(link) if is_public_link(link) else ""


def _without_query(link: str) -> str:
    """An article's address for a message; empty if it has a query, because without that it leads nowhere."""
    return link if without_secrets(link) == link else ""


def _run_error(run: ExportRun) -> str:
    if run.error is None:
        return "The platform gives no reason; its log may (save_logs)."
    return without_secrets(f"{run.error.error_key or ''}: {run.error.description or ''}".strip(": "))
