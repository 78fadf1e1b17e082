"""Which of the runs that are there exports what is asked: told by our notes, for the platform does not say."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from blocks.errors import RunFailedError
from blocks.itwin.models import ExportRun
from blocks.itwin.run_outcome import evaluate_run
from tasks.ifc.run_records import RunRecord
from tasks.ifc.run_spec import RunSpec

ANSWER_WINDOW = timedelta(minutes=2)
CLOCK_SKEW = timedelta(seconds=5)
"""The platform's clocks may differ, and some of its times are cut to whole seconds."""
STARTS_WITHIN = timedelta(hours=1)
"""How long after a request its run may start; later ones were asked for by somebody else."""


@dataclass(frozen=True)
class RunMatcher:
    """What the notes say about the runs of one of our connections."""

    spec: RunSpec
    connection_id: str
    records: list[RunRecord]
    place: str

    def of(self, run: ExportRun, now: datetime) -> RunRecord | None:
        """The note of a run that serves what is asked; none if it does not, or if that is not known."""
        record = self._record_of(run, now)
        if record is None or (run.is_finished and not self._is_worth_fetching(run, record)):
            return None
        return record

    def _record_of(self, run: ExportRun, now: datetime) -> RunRecord | None:
        for record in self.records:
            if record.run_id == run.id:
                return record if self._fits(record) and record.outcome != "failed" else None
        lost = self._lost_answers_before(started_at(run, now))
        if lost:
            return lost[-1] if all(self._fits(record) for record in lost) else None
        return self._unrecorded(run)

    def _is_worth_fetching(self, run: ExportRun, record: RunRecord) -> bool:
        """A finished run is replayed only if it succeeded, and another flow run's only if it brings something new."""
        is_own = record.asked_by == self.spec.asked_by
        if not is_own and (self.spec.policy.force or self._was_there_before(record)):
            return False
        try:
            evaluate_run(run, imodel_id=self.spec.request.imodel_id, accept_partial=self.spec.policy.accepts_partial)
        except RunFailedError:
            return False
        return True

    def _was_there_before(self, record: RunRecord) -> bool:
        """Another flow run fetched it before ours began, and what it published does not satisfy ours."""
        if record.outcome != "fetched":
            return False
        return record.fetched_at is None or record.fetched_at < self.spec.first_started - CLOCK_SKEW

    def _fits(self, record: RunRecord) -> bool:
        return record.subject == (self.spec.changeset_id, self.spec.request.connection_name, self.place)

    def _lost_answers_before(self, started: datetime) -> list[RunRecord]:
        """Requests without a known outcome that may have started the run: the last before it, and its neighbours."""
        pending = [
            record
            for record in self.records
            if record.outcome == "asked" and -CLOCK_SKEW <= started - record.asked_at <= STARTS_WITHIN
        ]
        return [record for record in pending if pending[-1].asked_at - record.asked_at <= ANSWER_WINDOW]

    def _unrecorded(self, run: ExportRun) -> RunRecord | None:
        """A run nobody noted here is ours if it surely started after this flow run, on a connection that is only ours.

        One that began about when we did may be an older request's for another changeset: better a second run than that.
        """
        started = run.start_date_time
        can_fetch = self.spec.request.output_location == "STORAGE" and self.spec.is_own_connection
        if not can_fetch or started is None or started < self.spec.first_started + CLOCK_SKEW:
            return None
        return RunRecord(
            record_id=f"{started:%Y%m%dT%H%M%S}-{run.id[-8:]}",
            connection_id=self.connection_id,
            changeset_id=self.spec.changeset_id,
            options=self.spec.request.connection_name,
            place=self.place,
            asked_at=started,
            asked_by="",
            blob_name="",
        )


def started_at(run: ExportRun, now: datetime) -> datetime:
    """When a run started; one that has not yet told starts now."""
    return run.start_date_time or now
