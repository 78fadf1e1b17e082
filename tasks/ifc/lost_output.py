"""Exclude finished runs whose files are missing or invalid, so that the next export starts a new run."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from prefect.runtime import flow_run

from blocks.errors import ContentError, LinkRefusedError, NotFoundError
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_heartbeat import close_run
from tasks.ifc.run_records import RunRecord, records_of
from tasks.ifc.run_spec import RemoteRun, RunSpec

T = TypeVar("T")


@contextmanager
def closing_lost_run(request: IfcRequest, run: RemoteRun) -> Generator[None]:
    """Close the run's record if the block fails because its files are missing, invalid or not readable.

    After an interrupted transfer or a full disk the record stays open, and the next start downloads from the same run.
    """
    try:
        yield
    except (NotFoundError, ContentError, LinkRefusedError) as error:
        close_run(request, str(flow_run.get_id()), run, reason=str(error))
        raise


async def retry_with_new_run(spec: RunSpec, attempt: Callable[[RunSpec], Awaitable[T]]) -> T:
    """Return the result of the attempt; repeat it once if it used an earlier flow run's run whose file is gone.

    If a run that this flow run started has lost its file, the error is raised: a person must find the cause.
    """
    closed_before = {record.record_id for record in _closed_for_others(spec)}
    try:
        return await attempt(spec)
    except (NotFoundError, ContentError):
        closed = [record for record in _closed_for_others(spec) if record.record_id not in closed_before]
        if not closed:
            raise
    failed = tuple(record.run_id for record in closed if record.run_id)
    return await attempt(spec.model_copy(update={"failed_before": (*spec.failed_before, *failed)}))


def _closed_for_others(spec: RunSpec) -> list[RunRecord]:
    """Records with the outcome `failed` of runs for the same export that other flow runs requested."""
    wanted = (spec.changeset_id, spec.request.connection_name)
    return [
        record
        for record in records_of(spec.request).all()
        if record.outcome == "failed"
        and record.asked_by != spec.asked_by
        and (record.changeset_id, record.options) == wanted
    ]
