"""The models tolerate missing, null and unknown members."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.itwin.models import ExecutionResult, ExecutionState, ExportConnection, ExportRun, ExportTaskError, IModel
from blocks.itwin.storage_models import StorageFile

MOMENT = datetime(2023, 3, 20, 11, 58, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-03-20T11:58:13Z", MOMENT),
        ("2023-03-20T11:58:13.410Z", MOMENT + timedelta(milliseconds=410)),
        ("2023-03-20T11:58:13.801086Z", MOMENT + timedelta(microseconds=801086)),
        ("2023-03-20T11:58:13.4109666Z", MOMENT + timedelta(microseconds=410966)),
        ("2023-03-20T11:58:13.4109666+00:00", MOMENT + timedelta(microseconds=410966)),
        ("2023-03-20T13:58:13+02:00", MOMENT.astimezone(timezone(timedelta(hours=2)))),
        (" 2023-03-20T11:58:13 ", MOMENT),
        ("11/3/2023 8:07:01 PM", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59.9999999-12:00", None),
        ("never", None),
        ("", None),
        (None, None),
        (17, None),
        ({}, None),
    ],
)
def test_reads_every_kind_of_timestamp(text: object, moment: datetime | None) -> None:
    """0, 3, 6 and 7 fractional digits, Z or an offset are parsed; no zone is UTC; other text, other ages are None."""
    assert ExportRun.model_validate({"id": "r", "startDateTime": text}).start_date_time == moment


@given(st.text())
def test_no_timestamp_breaks_an_answer(text: str) -> None:
    """A run with any text as a timestamp is valid."""
    found = ExportRun.model_validate({"id": "r", "startDateTime": text}).start_date_time
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    ("spelling", "result"),
    [
        ("Canceled", ExecutionResult.CANCELED),
        ("Cancelled", ExecutionResult.CANCELED),
        ("CANCELLED", ExecutionResult.CANCELED),
        ("success", ExecutionResult.SUCCESS),
        ("PartialSuccess", ExecutionResult.PARTIAL_SUCCESS),
        ("TimedOut", ExecutionResult.TIMED_OUT),
        (None, ExecutionResult.UNDETERMINED),
        ("", ExecutionResult.UNDETERMINED),
        ("Exploded", "Exploded"),
        (7, "7"),
    ],
)
def test_reads_every_spelling_of_a_result(spelling: object, result: object) -> None:
    """Both spellings of canceled are one result, and an unknown one is kept as text."""
    assert ExportRun.model_validate({"id": "r", "result": spelling}).result == result


@pytest.mark.parametrize("state", [*ExecutionState, "Hibernating", None])
def test_only_completed_is_final(state: str | None) -> None:
    """A run is finished when it is Completed and in no other state, known or not."""
    assert ExportRun.model_validate({"id": "r", "state": state}).is_finished == (state == "Completed")


def test_an_unknown_state_is_kept_as_text() -> None:
    """Unknown states are kept as text."""
    assert ExportRun.model_validate({"id": "r", "state": "Hibernating"}).state == "Hibernating"


@pytest.mark.parametrize(
    "jobs", [None, [], [{}], [{"tasks": None}], [{"id": None, "tasks": [{"error": None, "id": None}]}]]
)
def test_missing_members_are_no_trouble(jobs: Any) -> None:
    """Runs without jobs, jobs without tasks and empty tasks are valid, also where members are null."""
    run = ExportRun.model_validate({"id": "r", "jobs": jobs, "error": None, "_links": None})
    assert all(task.id == "" and task.error is None for task in run.tasks)


def test_a_run_with_its_id_only() -> None:
    """A run with only an id has state NotStarted and result Undetermined."""
    run = ExportRun.model_validate({"id": "r"})
    assert (run.state, run.result, run.tasks) == (ExecutionState.NOT_STARTED, ExecutionResult.UNDETERMINED, ())


@pytest.mark.parametrize("code", [4294967295, -7002, 0, None, "n/a"])
def test_reads_every_exit_code(code: object) -> None:
    """Exit codes may be unsigned, negative, missing or text."""
    assert ExportTaskError.model_validate({"bridgeExitCode": code}).bridge_exit_code == code


def test_null_means_missing() -> None:
    """Members that are null have their defaults, like members that are absent."""
    connection = ExportConnection.model_validate(
        {"id": "c", "iModelId": "m", "iTwinId": None, "displayName": None, "authenticationType": None}
    )
    assert (connection.itwin_id, connection.authentication_type) == (None, "User")
    assert ExportConnection.model_validate({"id": "c", "iModelId": "m"}).itwin_id is None
    assert IModel.model_validate({"id": "m", "displayName": None}).display_name == ""
    assert StorageFile.model_validate({"id": "f", "displayName": None, "size": None}).display_name == ""


def test_models_are_frozen_and_survive_their_own_json() -> None:
    """A model parsed from its own JSON is equal, so Prefect can persist results."""
    run = ExportRun.model_validate(
        {"id": "r", "state": "Odd", "result": "Cancelled", "startDateTime": "2023-03-20T11:58:13.4109666Z", "new": 1}
    )
    assert ExportRun.model_validate_json(run.model_dump_json()) == run
    with pytest.raises(ValueError, match="frozen"):
        run.id = "other"
