"""Find, adopt or start the export run of an export, so that one export has one run.

The platform keeps one active run per iModel and answers a second request with that run (303), whatever was asked for.
It does not say which changeset a run exports, so `tasks.ifc.run_records` stores it.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from blocks.errors import (
    ActiveRunError,
    ConflictError,
    ExportError,
    ExportTimeoutError,
    NotAuthorizedError,
    NotFoundError,
    RateLimitedError,
)
from blocks.itwin.api.exports import RunInput, RunOutput, StartedRun
from blocks.itwin.apis import ItwinApis
from blocks.itwin.transport import Precondition
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.freshness import FRESH_SECONDS, StaleReadError, freshness_check
from tasks.ifc.run_matching import RunMatcher, started_at
from tasks.ifc.run_records import RunRecord, RunRecords
from tasks.ifc.run_spec import RemoteRun, RunSpec, mapping_blob_name
from tasks.polling import Log, PollBackoff, RunPoller
from tasks.released.wait import ReleasedWait

SAS_MARGIN = timedelta(hours=1)
KNOWN_FOR = timedelta(minutes=10)
"""How long a connection that the platform has shown is not read again; the API cannot rename one."""
EMPTY_FOR = timedelta(seconds=FRESH_SECONDS)
"""How long a new connection of ours has no runs but those that were recorded when they were asked for."""


@dataclass(frozen=True)
class RunStarter:
    """Finds the run that serves the spec, or starts it."""

    itwin: ItwinApis
    spec: RunSpec
    blob_storage: UserBlobStorage | None
    records: RunRecords
    backoff: PollBackoff
    log: Log
    fresh_seconds: float = FRESH_SECONDS
    longest: timedelta = timedelta.max
    """Time for which this process waits for a run of others that holds the iModel."""

    async def start(self) -> RemoteRun | ReleasedWait:
        """Find a run that serves the export, else start one; the run of others that is to be waited for no longer here.

        Raises:
            ActiveRunError: Another run is active on the iModel and `on_active_run` is `fail`.
            ConflictError: A simultaneous request won; look again.
            NotFoundError: The connection is gone, or is not ours.
        """
        if not self._is_known_for(KNOWN_FOR):
            await self._require_ours()
        active_run: StartedRun | None = None
        stale_reads = 0
        while True:
            check = self._freshness_check(stale_reads)
            if (present := await self._find_reusable_run(active_run)) is not None:
                return present
            record = self._record_request()
            try:
                active_run = await self._request_run(record, check)
            except StaleReadError:
                self.records.note(record, "refused")
                stale_reads += 1
                continue
            if active_run.is_new:
                why_anew = self._why_anew(active_run.run_id)
                return self._followed(active_run.run_id, record).model_copy(update={"why_anew": why_anew})
            self.records.note(record, "refused")
            if (run := await self._resolve_conflict(active_run)) is not None:
                return run

    def _freshness_check(self, number: int) -> Precondition:
        """Refuses the request if another run was recorded meanwhile, or if the list of runs is too old."""
        recorded = self._recorded_runs()
        return freshness_check(
            number, fresh_seconds=self.fresh_seconds, has_newer_record=lambda: self._recorded_runs() != recorded
        )

    def _recorded_runs(self) -> set[str]:
        """Ids of the runs for the same options in the records of this folder."""
        return {record.run_id for record in self.records.all() if record.run_id and record.options == self._name}

    def _is_known_for(self, longest: timedelta) -> bool:
        """True if the platform has shown the connection so lately; false for one that the caller named."""
        read_at = self.spec.connection_read_at
        return read_at is not None and self.itwin.client.clock.elapsed_since(read_at) < longest

    async def _require_ours(self) -> None:
        """The id may come from the cache: what it names now must be the connection it named then."""
        if not self.spec.is_own_connection:
            return
        found = await self.itwin.exports.get_connection(self.spec.connection_id)
        if (found.display_name or self._name) != self._name:
            raise NotFoundError(f"Export connection {found.id} is now “{found.display_name}”, which is not ours.")

    async def _find_reusable_run(self, active_run: StartedRun | None) -> RemoteRun | None:
        """A run that already serves what is asked: active, or finished well and still to be fetched."""
        connections = {self.spec.connection_id: None} | dict.fromkeys(self._recorded_connections())
        if active_run is not None and await self._is_duplicate_connection(active_run.connection_id):
            connections[active_run.connection_id] = None
        if active_run is None and self._has_no_runs():
            del connections[self.spec.connection_id]
        for connection_id in connections:
            if (present := await self._find_on(connection_id)) is not None:
                return present
        return None

    def _has_no_runs(self) -> bool:
        """True if the connection was created a moment ago and nothing was recorded of it since.

        Where another machine has started a run on it meanwhile, the platform names that one instead of a second.
        """
        is_recorded = bool(self.records.of_connection(self.spec.connection_id))
        return self.spec.is_new_connection and self._is_known_for(EMPTY_FOR) and not is_recorded

    async def _find_on(self, connection_id: str) -> RemoteRun | None:
        try:
            runs = [run async for run in self.itwin.exports.list_runs(connection_id)]
        except NotFoundError:
            if connection_id == self.spec.connection_id:
                raise
            return None  # one of earlier days that was deleted since
        matcher = RunMatcher(self.spec, connection_id, self.records.of_connection(connection_id), self._place)
        for run in sorted(runs, key=lambda run: (run.is_finished, -started_at(run, self._now()).timestamp())):
            if (record := matcher.of(run, self._now())) is not None:
                self.log.info("Export run %s already serves this export; following it.", run.id)
                return self._followed(run.id, record)
        return None

    def _recorded_connections(self) -> list[str]:
        """Connections that this export was asked for on before: two first exports at once make two for one purpose."""
        if not self.spec.is_own_connection:
            return []
        return [record.connection_id for record in self.records.all() if record.options == self._name]

    async def _is_duplicate_connection(self, connection_id: str) -> bool:
        """True if it is ours by name: made for the same options and caller, by another machine at the same time."""
        if connection_id == self.spec.connection_id or not self.spec.is_own_connection:
            return False
        try:
            theirs = await self.itwin.exports.get_connection(connection_id)
            ours = await self.itwin.exports.get_connection(self.spec.connection_id)
        except (NotFoundError, NotAuthorizedError):
            return False
        return (theirs.display_name, theirs.authentication_type) == (ours.display_name, ours.authentication_type)

    def _record_request(self) -> RunRecord:
        return self.records.ask(
            connection_id=self.spec.connection_id,
            changeset_id=self.spec.changeset_id,
            options=self._name,
            place=self._place,
            asked_at=self._now(),
            asked_by=self.spec.asked_by,
            blob_name=self.spec.blob_name if self.blob_storage else "",
        )

    async def _request_run(self, record: RunRecord, check: Precondition) -> StartedRun:
        """Request a run. A refusal is recorded; after a lost answer the record stays open: the run may have started."""
        run_input = self._input()
        try:
            output = self._output(record)
            return await self.itwin.exports.create_run(self.spec.connection_id, run_input, output, check=check)
        except ExportError as error:
            if not error.is_transient or isinstance(error, (ConflictError, RateLimitedError)):
                self.records.note(record, "refused")
            raise

    def _why_anew(self, run_id: str) -> str:
        """Why there is another run, if the last one for the same export ended badly or lost its file; also logged."""
        subject = (self.spec.changeset_id, self._name, self._place)
        before = [record for record in self.records.all() if record.run_id and record.subject == subject]
        if not before or before[-1].outcome != "failed" or not before[-1].reason:
            return ""
        last = before[-1]
        why = f"Started export run {run_id}, because export run {last.run_id} cannot serve any more. {last.reason}"
        self.log.warning("%s", why)
        return why

    def _input(self) -> RunInput:
        """The input of the run, with a link to the mapping file in the user's container."""
        run_input, request = self.spec.run_input, self.spec.request
        if self.blob_storage is None or not request.hands_over_content:
            return run_input
        link = self.blob_storage.ready_made_mapping
        if self.blob_storage.has_account:
            link = self.blob_storage.link_to(mapping_blob_name(request), until=self._links_end())
        return replace(run_input, mapping_file_sas_url=link)

    def _links_end(self) -> datetime:
        """When the links that the platform gets expire."""
        return self._now() + self.spec.policy.timeout + SAS_MARGIN

    def _output(self, record: RunRecord) -> RunOutput:
        request = self.spec.request
        output = RunOutput(
            location=request.output_location,
            folder_id=request.folder_id,
            replace_older_file=request.replace_older_file,
            save_logs=request.save_logs,
        )
        if self.blob_storage is None:
            return output
        until = self._links_end()
        target = self.blob_storage.output_for(record.blob_name, until=until, save_logs=request.save_logs)
        return replace(output, output_sas_url=target.output, logs_sas_url=target.logs)

    async def _resolve_conflict(self, active_run: StartedRun) -> RemoteRun | ReleasedWait | None:
        """Another run is active: it may serve the export; else act as `on_active_run` says. None: request again."""
        if (present := await self._find_reusable_run(active_run)) is not None:
            return present
        name = f"Export run {active_run.run_id} on connection {active_run.connection_id}"
        held = f"{name} is active on iModel {self.spec.request.imodel_id}, and it is not known to export the same"
        match self.spec.policy.on_active_run:
            case "fail":
                raise ActiveRunError(f"{held}. Wait for its end, or choose on_active_run=wait or adopt.")
            case "adopt":
                return self._adopted(active_run, held)
            case "wait":
                self.log.warning("%s; waiting for its end, then starting ours.", held)
                return await self._wait_for_foreign(active_run)

    def _adopted(self, active_run: StartedRun, held: str) -> RemoteRun:
        if self.blob_storage is not None:
            raise ActiveRunError(
                f"{held}; where it writes is not known, so with USER_BLOB_STORAGE it cannot be adopted. "
                f"Choose on_active_run=wait."
            )
        warning = f"{held}; adopted as asked for, so the files may come from another changeset or other options."
        self.log.warning(warning)
        return RemoteRun(
            connection_id=active_run.connection_id,
            run_id=active_run.run_id,
            since=self._now(),
            adopted=True,
            warnings=(warning,),
        )

    async def _wait_for_foreign(self, active_run: StartedRun) -> ReleasedWait | None:
        """Wait until the other run has ended; where its connection is not visible to us, a pause has to do."""
        waited = self.itwin.client.clock.elapsed_since(self.spec.first_started)
        left = self.spec.policy.timeout - waited
        if left <= timedelta(0):
            raise self._wait_timed_out(active_run)
        poller = RunPoller(
            self.itwin,
            active_run.connection_id,
            active_run.run_id,
            self._now(),
            left,
            self.backoff,
            self.log,
            counts_own_age=False,
        )
        try:
            ended = await poller.finished_within(self.longest)
        except (NotFoundError, NotAuthorizedError):
            await asyncio.sleep(self.backoff.pause(waited.total_seconds()))
            return None
        except ExportTimeoutError:
            raise self._wait_timed_out(active_run) from None
        return None if ended else self._released(active_run, poller.since)

    def _released(self, active_run: StartedRun, since: datetime) -> ReleasedWait:
        return ReleasedWait(
            format="ifc",
            imodel_id=self.spec.request.imodel_id,
            changeset_id=self.spec.changeset_id,
            connection_id=active_run.connection_id,
            export_id=active_run.run_id,
            since=since,
            deadline=self.spec.first_started + self.spec.policy.timeout,
            is_foreign=True,
        )

    def _wait_timed_out(self, active_run: StartedRun) -> ExportTimeoutError:
        return ExportTimeoutError(
            f"iModel {self.spec.request.imodel_id} still had the active export run {active_run.run_id} after "
            f"{self.spec.policy.timeout.total_seconds() / 60:g} minutes; ours was not started. "
            f"Run the same command again."
        )

    def _followed(self, run_id: str, record: RunRecord) -> RemoteRun:
        self.records.note(record, "started", run_id=run_id)
        return RemoteRun(
            connection_id=record.connection_id,
            run_id=run_id,
            since=record.asked_at,
            blob_name=record.blob_name,
            adopted=record.asked_by != self.spec.asked_by,
        )

    @property
    def _name(self) -> str:
        """Display name of our connection for these options."""
        return self.spec.request.connection_name

    @property
    def _place(self) -> str:
        """Where the file is to be written, if that is not Storage."""
        return self.blob_storage.place if self.blob_storage else ""

    def _now(self) -> datetime:
        return self.itwin.client.server_now()
