"""Start the export run once and wait for it."""

from datetime import datetime
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, NO_CACHE, RUN_ID
from prefect.runtime import flow_run

from blocks.errors import ConsentRequiredError, NotFoundError, RunFailedError
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import ExportRun
from blocks.itwin.run_outcome import evaluate_run, lacks_consent
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.export_progress import current_progress
from tasks.ifc.connection import Connection, reconnect
from tasks.ifc.consent import explain_missing_consent
from tasks.ifc.earlier_run import record_earlier_run
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_heartbeat import FollowedRun, close_run, heartbeat, record_followed
from tasks.ifc.run_records import records_of
from tasks.ifc.run_spec import RemoteRun, RunSpec
from tasks.ifc.run_starter import RunStarter
from tasks.polling import RunPoller, read_poll_backoff
from tasks.released.wait import ReleasedWait, earlier_waits, longest_wait
from tasks.retry import retries_after


@task(
    **retries_after(1, 2, 5, 10, 20, 40),
    retry_jitter_factor=0.3,
    cache_policy=INPUTS - "credentials" - "blob_storage" + RUN_ID,
    persist_result=True,
    result_serializer="json",
)
async def start_run(
    credentials: ItwinCredentials, spec: RunSpec, blob_storage: UserBlobStorage | None
) -> RemoteRun | ReleasedWait:
    """Find, adopt or start the export run that serves the spec; what is to be waited for first without a process.

    Raises:
        ActiveRunError: Another run of the iModel is active and `on_active_run` is `fail`.
        NotFoundError: The connection does not exist.
    """
    log = get_run_logger()
    current_progress().enter("waiting")
    async with credentials.get_client() as itwin:
        records = records_of(spec.request)
        longest = longest_wait(spec.policy)
        record_earlier_run(records, spec, blob_storage.place if blob_storage else "", await earlier_waits())
        run = await RunStarter(itwin, spec, blob_storage, records, read_poll_backoff(), log, longest=longest).start()
    if isinstance(run, ReleasedWait):
        return run
    changeset = spec.changeset_id or "none (baseline)"
    log.info("Export run %s on connection %s exports changeset %s.", run.run_id, run.connection_id, changeset)
    return run


@task(
    **retries_after(5, 15, 60),
    cache_policy=NO_CACHE,  # the current state is needed
    persist_result=False,
)
async def wait_for_run(credentials: ItwinCredentials, spec: RunSpec, run: RemoteRun) -> ExportRun | ReleasedWait:
    """Wait for the run and return it if its result permits downloading; what is to be waited for without a process.

    Raises:
        RunFailedError: The run did not succeed; the subclass says how it ended.
        ConsentRequiredError: The platform may not act for the user (any more).
        ExportTimeoutError: The deadline passed; the remote run goes on.
    """
    state_dir = spec.request.state_dir
    followed = FollowedRun(
        connection_id=run.connection_id,
        run_id=run.run_id,
        imodel_name=spec.request.names.imodel,
        changeset_id=spec.changeset_id,
    )
    record_followed(state_dir, str(flow_run.get_id()), followed)
    try:
        async with heartbeat(state_dir, str(flow_run.get_id())):
            finished, warnings = await _wait_and_judge(credentials, spec, run)
        changed = {"is_released": True} if isinstance(finished, ReleasedWait) else {"is_finished": True}
        record_followed(state_dir, str(flow_run.get_id()), followed.model_copy(update=changed))
    except (RunFailedError, ConsentRequiredError, NotFoundError) as error:
        close_run(spec.request, str(flow_run.get_id()), run, reason=str(error))
        raise
    for warning in warnings:
        get_run_logger().warning(warning)
    return finished


async def _wait_and_judge(
    credentials: ItwinCredentials, spec: RunSpec, run: RemoteRun
) -> tuple[ExportRun | ReleasedWait, tuple[str, ...]]:
    async with credentials.get_client() as itwin:
        current_progress().note_run(run.run_id, run.connection_id)
        watch = RunPoller(
            itwin, run.connection_id, run.run_id, run.since, spec.policy.timeout, read_poll_backoff(), get_run_logger()
        )
        finished = await watch.finished_within(longest_wait(spec.policy))
        if finished is None:
            return _released(spec, run, watch.counts_from), ()
        current_progress().note_run_times(run.since, finished.start_date_time, finished.end_date_time)
        try:
            return finished, evaluate_run(
                finished, imodel_id=spec.request.imodel_id, accept_partial=spec.policy.accepts_partial
            )
        except RunFailedError:
            if lacks_consent(finished):
                raise await explain_missing_consent(itwin, credentials, run.run_id) from None
            raise


def _released(spec: RunSpec, run: RemoteRun, since: datetime) -> ReleasedWait:
    return ReleasedWait(
        format="ifc",
        imodel_id=spec.request.imodel_id,
        changeset_id=spec.changeset_id,
        connection_id=run.connection_id,
        export_id=run.run_id,
        blob_name=run.blob_name,
        is_adopted=run.adopted,
        since=since,
        deadline=since + spec.policy.timeout,
    )


async def build_run_spec(
    request: IfcRequest, connection: Connection, changeset_id: str, first_started: datetime
) -> RunSpec:
    """Create the spec from which `start_run` starts the run, and finds it again after a crash or lost response."""
    return RunSpec(
        request=request,
        **_members_of(connection),
        changeset_id=changeset_id,
        asked_by=str(flow_run.get_id()),
        first_started=first_started,
        failed_before=known_failures(request, connection.id),
        foreign_waits=sum(wait.is_foreign for wait in await earlier_waits()),
    )


def _members_of(connection: Connection) -> dict[str, Any]:
    """What a spec holds of its connection."""
    return {
        "connection_id": connection.id,
        "is_own_connection": connection.is_own,
        "connection_read_at": connection.read_at,
        "is_new_connection": connection.is_new,
    }


async def start_or_reconnect(
    credentials: ItwinCredentials, spec: RunSpec, blob_storage: UserBlobStorage | None
) -> RemoteRun | ReleasedWait:
    """Start the run; if the connection was deleted, create it again and repeat once."""
    try:
        return await start_run(credentials, spec, blob_storage)
    except NotFoundError:
        if not spec.is_own_connection:
            raise
        get_run_logger().warning("Export connection %s is gone or not ours; ensuring it again.", spec.connection_id)
        connection = await reconnect(credentials, spec.request)
        return await start_run(credentials, spec.model_copy(update=_members_of(connection)), blob_storage)


def known_failures(request: IfcRequest, connection_id: str) -> tuple[str, ...]:
    """Ids of the runs on a connection whose record has the outcome `failed`."""
    records = records_of(request).of_connection(connection_id)
    return tuple(record.run_id for record in records if record.outcome == "failed" and record.run_id)
