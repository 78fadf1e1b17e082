"""A finished run whose file is gone or wrong serves nobody any more."""

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import (
    ContentError,
    DiskError,
    ExportError,
    InterruptedTransferError,
    LinkRefusedError,
    NotFoundError,
)
from tasks.ifc.lost_output import closing_lost_run, retry_with_new_run
from tasks.ifc.run_records import RunRecord
from tasks.ifc.run_spec import RemoteRun, RunSpec
from tests.blocks.itwin.platform import MOMENT
from tests.tasks.run_specs import note, records_of, request_for, spec_for


def followed(record: RunRecord) -> RemoteRun:
    return RemoteRun(connection_id=record.connection_id, run_id=str(record.run_id), since=MOMENT)


def started(spec: RunSpec, **changes: Any) -> RunRecord:
    """The note of a run that was started for an export."""
    return records_of(spec).note(note(spec, **changes), "started", run_id="r-1")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NotFoundError("it is gone"), "failed"),
        (ContentError("it is no IFC"), "failed"),
        (LinkRefusedError("the link is refused"), "failed"),
        (InterruptedTransferError("it broke"), "started"),
        (DiskError("the disk is full"), "started"),
    ],
)
def test_only_what_cannot_be_had_closes_the_record(tmp_path: Path, error: ExportError, outcome: str) -> None:
    """A file that is gone, wrong or refused for good closes the run's record with a reason; a broken line does not."""
    spec = spec_for(request_for(tmp_path), "c")
    run = followed(started(spec))
    with pytest.raises(type(error)), closing_lost_run(spec.request, run):
        raise error
    (record,) = records_of(spec).all()
    assert (record.outcome, record.reason) == (outcome, str(error) if outcome == "failed" else "")


class Attempts:
    """Exports that end with errors, the first of them closing a record."""

    def __init__(self, record: RunRecord, *errors: ExportError) -> None:
        self.specs: list[RunSpec] = []
        self._record = record
        self._errors = list(errors)

    async def __call__(self, spec: RunSpec) -> str:
        self.specs.append(spec)
        if not self._errors:
            return "done"
        with closing_lost_run(spec.request, followed(self._record)):
            raise self._errors.pop(0)


async def test_a_lost_run_of_another_flow_run_is_replaced_once(tmp_path: Path) -> None:
    """After following another flow run's run whose file is gone, one attempt is made with that run ruled out."""
    spec = spec_for(request_for(tmp_path), "c")
    attempts = Attempts(started(spec), NotFoundError("gone"))
    assert await retry_with_new_run(spec, attempts) == "done"
    assert [asked.failed_before for asked in attempts.specs] == [(), ("r-1",)]


async def test_a_second_loss_is_the_answer(tmp_path: Path) -> None:
    """Where the new run loses its file too, the error is told: a flow run asks for no third one."""
    spec = spec_for(request_for(tmp_path), "c")
    attempts = Attempts(started(spec), NotFoundError("gone"), ContentError("wrong"))
    with pytest.raises(ContentError, match="wrong"):
        await retry_with_new_run(spec, attempts)
    assert len(attempts.specs) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"asked_by": "11111111-aaaa-bbbb-cccc-222222222222"}, NotFoundError("gone")),
        ({"changeset_id": "another"}, NotFoundError("gone")),
        ({}, LinkRefusedError("refused")),
    ],
)
async def test_other_losses_are_told_at_once(tmp_path: Path, changes: dict[str, str], error: ExportError) -> None:
    """A run of our own, a run for another export and a refused link lead to no new run in the same flow run."""
    spec = spec_for(request_for(tmp_path), "c")
    attempts = Attempts(started(spec, **changes), error)
    with pytest.raises(type(error)):
        await retry_with_new_run(spec, attempts)
    assert len(attempts.specs) == 1
