"""Did the run succeed? Judged from every job and task, because a run can say Success while a task says Error."""

from collections.abc import Iterator

from blocks.errors import (
    PartialSuccessError,
    RunCanceledError,
    RunFailedError,
    RunSkippedError,
    RunTimedOutError,
    without_secrets,
)
from blocks.itwin.models import ExecutionResult, ExportRun, ExportTask, Result

USER_NOT_AUTHENTICATED = "UserNotAuthenticated"
NO_OBJECTION = frozenset({ExecutionResult.SUCCESS, ExecutionResult.UNDETERMINED})
DELIVERS = frozenset({ExecutionResult.SUCCESS, ExecutionResult.PARTIAL_SUCCESS})
ENDINGS: dict[ExecutionResult, tuple[type[RunFailedError], str]] = {
    ExecutionResult.ERROR: (RunFailedError, "failed"),
    ExecutionResult.TIMED_OUT: (RunTimedOutError, "was given up by the platform (TimedOut)"),
    ExecutionResult.CANCELED: (RunCanceledError, "was canceled on the platform"),
    ExecutionResult.SKIPPED: (RunSkippedError, "was skipped by the platform"),
    ExecutionResult.PARTIAL_SUCCESS: (PartialSuccessError, "left something out (PartialSuccess)"),
}


def evaluate_run(run: ExportRun, *, imodel_id: str, accept_partial: bool) -> tuple[str, ...]:
    """Warnings about a finished run that is good enough to fetch.

    Raises:
        RunFailedError: It is not; the subclass says how it ended, the message lists what each task says.
    """
    said = tuple(_complaint(task) for task in run.tasks if _has_complaint(task))
    worst = _worst(run)
    if worst is ExecutionResult.SUCCESS:
        return said
    if worst is ExecutionResult.PARTIAL_SUCCESS and accept_partial:
        return (f"Export run {run.id} left something out (PartialSuccess).", *said)
    kind, how = ENDINGS.get(worst, (RunFailedError, "")) if isinstance(worst, ExecutionResult) else (RunFailedError, "")
    how = how or f"ended with the unknown result “{worst}”"
    raise kind(f"Export run {run.id} of iModel {imodel_id} {how}. {' '.join(said) or _run_error(run)}".strip())


def lacks_consent(run: ExportRun) -> bool:
    """True if the run failed because the platform may not act for the user."""
    return run.error is not None and run.error.error_key == USER_NOT_AUTHENTICATED


def _worst(run: ExportRun) -> Result:
    """The gravest result of the run, its jobs and its tasks, in the order of `ENDINGS`; unknown ones are graver."""
    results = list(_results(run))
    if run.result is ExecutionResult.PARTIAL_SUCCESS and any(task.result in DELIVERS for task in run.tasks):
        return ExecutionResult.PARTIAL_SUCCESS  # a task that failed is what it left out
    for result in results:
        if not isinstance(result, ExecutionResult):
            return result
    for grave in ENDINGS:
        if grave in results:
            return grave
    return run.result


def _results(run: ExportRun) -> Iterator[Result]:
    """The run's result counts as it is; a job or task that says nothing objects to nothing."""
    yield run.result if run.result is not ExecutionResult.UNDETERMINED else str(run.result)
    for job in run.jobs:
        yield from (
            result for result in (job.result, *(task.result for task in job.tasks)) if result not in NO_OBJECTION
        )


def _has_complaint(task: ExportTask) -> bool:
    return task.error is not None or task.result not in NO_OBJECTION


def _complaint(task: ExportTask) -> str:
    error = task.error
    parts = [f"Task {task.id}: {task.result}"]
    if error is not None:
        texts = (error.description or error.message, error.details)
        parts += [f"in phase {error.phase}"] if error.phase else []
        parts += [f"({error.error_code})"] if error.error_code else []
        parts += [f"– {' '.join(text for text in texts if text)}"] if any(texts) else []
        parts += [f"Exit code {error.bridge_exit_code}."] if error.bridge_exit_code is not None else []
        parts += ["You can correct this yourself."] if error.can_user_fix else []
        parts += [f"See {error.kb_article_link}"] if error.kb_article_link else []
    return without_secrets(" ".join(parts)).rstrip(".") + "."


def _run_error(run: ExportRun) -> str:
    if run.error is None:
        return "The platform gives no reason; its log may (save_logs)."
    return without_secrets(f"{run.error.error_key or ''}: {run.error.description or ''}".strip(": "))
