"""An export run as the API shows it, in any state."""

from datetime import datetime, timedelta

from deployments.sandbox.api.responses import JSON
from deployments.sandbox.clock import precise
from deployments.sandbox.ids import guid, output_guid
from deployments.sandbox.state.entities import Run
from deployments.sandbox.state.options import Options

_PHASES = ((0.05, "NotStarted"), (0.15, "Queued"), (0.8, "Executing"))
"""Up to which fraction of a run's duration each state lasts."""
_YOUNG = {"NotStarted", "Queued"}
_FAILURE: JSON = {
    "errorCode": "TAE_BRW_1000",
    "message": "Exporter stopped early.",
    "details": "Wrapper returned a non-zero exit code.",
    "bridgeExitCode": -7002,
    "system": "Exporter",
    "phase": "export_file",
    "category": "other",
    "descriptionKey": "FailedToExport",
    "description": "The file could not be exported.",
    "kbArticleLink": "",
    "canUserFix": False,
}


def state_of(run: Run, now: datetime) -> str:
    """The state of the run; it is Completed only when its output is delivered."""
    if run.finished_at:
        return "Completed"
    if run.outcome.active_state:
        return run.outcome.active_state
    part = (now - run.started_at).total_seconds() / max(run.seconds, 0.001)
    return next((state for end, state in _PHASES if part < end), "Finalizing")


def write_run(run: Run, now: datetime, options: Options) -> JSON:
    """The long form; the list leaves `connectionId` out."""
    state = state_of(run, now)
    body: JSON = {
        "id": run.id,
        "connectionId": run.connection_id,
        "state": state,
        "result": run.outcome.result if run.finished_at else "Undetermined",
        "jobs": [],
    }
    if state in _YOUNG and options.young_run_jobs == "absent":
        del body["jobs"]
    if state != "NotStarted":
        body["startDateTime"] = precise(run.started_at)
    if run.finished_at:
        body["endDateTime"] = precise(run.finished_at)
    if run.finished_at and run.outcome.error_key:
        body["error"] = {"errorKey": run.outcome.error_key, "description": "The user is not authenticated."}
    elif state not in _YOUNG:
        body["jobs"] = [_write_job(run, state, options)]
    return body


def _write_job(run: Run, state: str, options: Options) -> JSON:
    job: JSON = {"id": guid("job", run.id), **_step(run, state, run.outcome.effective_job_result)}
    job["tasks"] = [_write_task(run, state, options)]
    return job


def _write_task(run: Run, state: str, options: Options) -> JSON:
    task: JSON = {
        "id": guid("task", run.id),
        **_step(run, state, run.outcome.effective_task_result),
        "retryAttempts": run.outcome.retry_attempts,
    }
    if run.finished_at is None:
        return task
    if run.output_file_id and options.output_file_id != "absent":
        as_guid = options.output_file_id != "storage-id"
        task["exportOutputFileId"] = output_guid(run.id) if as_guid else run.output_file_id
    if run.outcome.error is not None or task["result"] in {"Error", "TimedOut"}:
        task["error"] = {**_FAILURE, **(run.outcome.error or {})}
    return task


def _step(run: Run, state: str, result: str) -> JSON:
    body: JSON = {
        "startDateTime": precise(run.started_at + timedelta(seconds=run.seconds * 0.15)),
        "state": state,
        "result": result if run.finished_at else "Undetermined",
    }
    if run.finished_at:
        body["endDateTime"] = precise(run.finished_at)
    return body
