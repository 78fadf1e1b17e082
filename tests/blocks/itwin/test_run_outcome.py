"""The outcome of a finished run."""

from typing import Any

import pytest

from blocks.errors import (
    PartialSuccessError,
    RunCanceledError,
    RunFailedError,
    RunSkippedError,
    RunTimedOutError,
)
from blocks.itwin.models import ExportRun
from blocks.itwin.run_outcome import evaluate_run

ERROR = {
    "errorCode": "TAE_BRW_1000",
    "message": "Exporter stopped.",
    "details": "Wrapper gave up at https://a.example/f?sig=c2VjcmV0.",
    "bridgeExitCode": 4294967295,
    "phase": "export_file",
    "description": "The file could not be exported.",
    "kbArticleLink": "https://support.example/KB1",
    "canUserFix": True,
}


def run_of(result: str | None, *tasks: dict[str, Any], job: str | None = None, **members: Any) -> ExportRun:
    jobs = [{"result": job, "tasks": [{"id": "t", **task} for task in tasks]}] if tasks or job else []
    return ExportRun.model_validate({"id": "r", "state": "Completed", "result": result, "jobs": jobs, **members})


def outcome(run: ExportRun, *, accept_partial: bool = True) -> tuple[str, ...]:
    return evaluate_run(run, imodel_id="m", accept_partial=accept_partial)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ("Error", RunFailedError),
        ("TimedOut", RunTimedOutError),
        ("Canceled", RunCanceledError),
        ("Cancelled", RunCanceledError),
        ("Skipped", RunSkippedError),
        ("Exploded", RunFailedError),
        ("Undetermined", RunFailedError),
        (None, RunFailedError),
    ],
)
def test_every_ending_has_its_error(result: str | None, kind: type[RunFailedError]) -> None:
    """Each result but success is its own error; an unknown or missing one is never a success."""
    with pytest.raises(RunFailedError, match="Export run r of iModel m ") as caught:
        outcome(run_of(result, {"result": result}))
    assert type(caught.value) is kind
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("where", ["task", "job"])
@pytest.mark.parametrize(
    ("result", "kind"), [("Error", RunFailedError), ("TimedOut", RunTimedOutError), ("Odd", RunFailedError)]
)
def test_a_run_that_says_success_over_a_failed_task_has_failed(
    where: str, result: str, kind: type[RunFailedError]
) -> None:
    """A run with result Success fails if one of its jobs or tasks failed."""
    run = run_of("Success", {"result": result}) if where == "task" else run_of("Success", job=result)
    with pytest.raises(kind):
        outcome(run)


@pytest.mark.parametrize("tasks", [[], [{"result": "Success"}], [{"result": None}], [{"result": "Undetermined"}]])
def test_a_success_without_objection_is_one(tasks: list[dict[str, Any]]) -> None:
    """A successful run whose tasks are Success or Undetermined gives no warning."""
    assert outcome(run_of("Success", *tasks)) == ()


def test_an_error_on_a_successful_task_is_a_warning() -> None:
    """A successful task with an error gives a warning and does not fail the run."""
    (warning,) = outcome(run_of("Success", {"result": "Success", "error": ERROR}))
    assert "Task t: Success" in warning
    assert "The file could not be exported" in warning


@pytest.mark.parametrize("run", [run_of("PartialSuccess"), run_of("Success", {"result": "PartialSuccess"})])
def test_partial_success_is_judged_by_the_policy(run: ExportRun) -> None:
    """PartialSuccess is a warning if accepted and PartialSuccessError otherwise."""
    assert "left something out" in outcome(run)[0]
    with pytest.raises(PartialSuccessError, match="left something out"):
        outcome(run, accept_partial=False)


def test_a_partial_success_that_delivers_nothing_has_failed() -> None:
    """With partial results accepted, a run in which every task failed still fails."""
    with pytest.raises(RunFailedError) as caught:
        outcome(run_of("PartialSuccess", {"result": "Error"}))
    assert type(caught.value) is RunFailedError


def test_a_failed_task_is_what_a_partial_success_left_out() -> None:
    """If one task succeeds and another fails, PartialSuccess is accepted and the failed task is a warning."""
    warnings = outcome(run_of("PartialSuccess", {"result": "Success"}, {"result": "Error", "error": ERROR}))
    assert any("The file could not be exported" in warning for warning in warnings)


def test_the_message_holds_what_a_person_needs() -> None:
    """Code, phase, description, exit code, who can correct it and the article are in the message, no secret is."""
    with pytest.raises(RunFailedError) as caught:
        outcome(run_of("Error", {"result": "Error", "error": ERROR}, {"id": "u", "result": "Error"}))
    text = str(caught.value)
    for part in (
        "Task t: Error",
        "Task u: Error",
        "in phase export_file",
        "TAE_BRW_1000",
        "The file could not be exported.",
        "Wrapper gave up",
        "Exit code 4294967295",
        "You can correct this yourself",
        "See https://support.example/KB1",
    ):
        assert part in text
    assert "c2VjcmV0" not in text


@pytest.mark.parametrize("error", [{}, {"message": "Stopped."}, {"bridgeExitCode": -7002, "canUserFix": False}])
def test_an_error_that_says_little_is_told_as_it_is(error: dict[str, Any]) -> None:
    """Missing members of an error leave no gaps and no “None” in the message."""
    with pytest.raises(RunFailedError) as caught:
        outcome(run_of("Error", {"result": "Error", "error": error}))
    assert "None" not in str(caught.value)
    assert "correct this yourself" not in str(caught.value)
    assert all(str(value) in str(caught.value) for name, value in error.items() if name != "canUserFix" and value)


def test_a_failure_of_the_run_as_a_whole() -> None:
    """Without tasks the message has the run's error key; without any error it refers to the log."""
    with pytest.raises(RunFailedError, match="UserNotAuthenticated: Not signed in"):
        outcome(run_of("Error", error={"errorKey": "UserNotAuthenticated", "description": "Not signed in"}))
    with pytest.raises(RunFailedError, match="gives no reason"):
        outcome(run_of("Error"))
