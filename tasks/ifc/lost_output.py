"""A finished run whose file is gone or wrong must not be the answer for every later start."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from prefect.runtime import flow_run

from blocks.errors import ContentError, LinkRefusedError, NotFoundError
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_heartbeat import close_run
from tasks.ifc.run_records import RunRecord, RunRecords
from tasks.ifc.run_spec import RemoteRun, RunSpec

T = TypeVar("T")


@contextmanager
def closing_lost_run(request: IfcRequest, run: RemoteRun) -> Generator[None]:
    """While the block fetches or checks a run's files: close the run's record once it is clear that they cannot be had.

    An interrupted transfer or a full disk leaves the record as it is: the next start fetches the same run.
    """
    try:
        yield
    except (NotFoundError, ContentError, LinkRefusedError) as error:
        close_run(request.state_dir, str(flow_run.get_id()), run, reason=str(error))
        raise


async def with_one_new_run(spec: RunSpec, attempt: Callable[[RunSpec], Awaitable[T]]) -> T:
    """What the attempt returns; made again, once, if it followed a run of an earlier flow run whose file is gone.

    A run of this flow run is not asked for a second time: its loss is for a person to look at.
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
    """Closed records of runs for the same export that another flow run asked for."""
    wanted = (spec.changeset_id, spec.request.connection_name)
    return [
        record
        for record in RunRecords(spec.request.state_dir.runs).all()
        if record.outcome == "failed"
        and record.asked_by != spec.asked_by
        and (record.changeset_id, record.options) == wanted
    ]
