"""Poll the platform with back-off until a deadline by the platform's clock; transient errors are tolerated."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import Logger, LoggerAdapter
from typing import Any, Generic, TypeVar

from blocks.errors import ExportError, ExportTimeoutError, NotFoundError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import ExecutionState, ExportRun
from blocks.itwin.server_clock import AGREEMENT
from blocks.settings import read_settings
from tasks.export_progress import current_progress

CREATION_GRACE = timedelta(minutes=2)
LAST_POLL_SECONDS = 60.0
"""Time limit of the last poll, which begins at the deadline."""

Log = Logger | LoggerAdapter[Logger]
Found = TypeVar("Found")


@dataclass(frozen=True)
class PollBackoff:
    """Pauses between two polls, in seconds."""

    first: float
    longest: float

    def pause(self, age: float) -> float:
        """Seconds until the next poll: a tenth of the age with up to 7 % jitter, between `first` and `longest`.

        Beyond an age of 16 times `longest`, the pause is a sixteenth of the age, so that hours of waiting need few
        requests.
        """
        steady = min(age / 10, max(self.longest, age / 16))
        return max(self.first, steady * random.uniform(0.93, 1.0))  # noqa: S311  jitter is no secret


@dataclass
class Poller(Generic[Found]):
    """Repeats a read until it returns a result or the deadline passes; transient errors are logged and tolerated.

    Args:
        name: What is read, for messages.
        read: Reads once; returns None while there is no result yet.
        age: Returns how long the wait has lasted.
        timeout: Longest wait.
        slots: Limits how many polls are sent at once, see `ItwinApis.poll_slots`.
    """

    name: str
    read: Callable[[], Awaitable[Found | None]]
    age: Callable[[], timedelta]
    timeout: timedelta
    backoff: PollBackoff
    log: Log
    slots: asyncio.Semaphore
    sleep: Callable[[float], Any] = asyncio.sleep
    _complained: str = ""

    async def poll(self) -> Found | None:
        """Poll until there is a result; None when the deadline passes first.

        Raises:
            ExportError: A failure that is not transient, such as 403.
        """
        while True:
            found = await self._poll_in_time()
            if found is not None or self.age() >= self.timeout:
                return found
            age = self.age().total_seconds()
            await self.sleep(max(0.0, min(self.backoff.pause(age), self.timeout.total_seconds() - age)))

    async def _poll_in_time(self) -> Found | None:
        """Poll once; None if a pause that the platform asks for (429) lasts beyond the deadline."""
        left = (self.timeout - self.age()).total_seconds()
        try:
            async with asyncio.timeout(max(left, LAST_POLL_SECONDS)):
                return await self._poll_once()
        except TimeoutError:
            return None

    async def _poll_once(self) -> Found | None:
        """Poll once; None also after a transient error."""
        try:
            async with self.slots:
                found = await self.read()
        except ExportError as error:
            if not error.is_transient:
                raise
            self._complain(str(error))
            return None
        self._complained = ""
        return found

    def _complain(self, problem: str) -> None:
        kind = problem.partition(" (")[0]  # without the correlation id, which differs in each message
        if kind != self._complained:
            self._complained = kind
            self.log.warning("Reading %s failed; trying again. %s", self.name, problem)


@dataclass
class RunPoller:
    """Polls one export run until it is finished.

    Args:
        since: Start of the wait, by the platform's clock; used until the run has a start time.
        timeout: Longest wait, counted from the run's own start, or from `since`.
        counts_own_age: True to count from the run's own start, False to count from `since`.
    """

    itwin: ItwinApis
    connection_id: str
    run_id: str
    since: datetime
    timeout: timedelta
    backoff: PollBackoff
    log: Log
    counts_own_age: bool = True
    sleep: Callable[[float], Any] = asyncio.sleep
    _seen: set[str] = field(default_factory=set[str])
    _started_at: datetime | None = None

    async def finished(self) -> ExportRun:
        """Wait for the run and return it once it has ended, successfully or not.

        Raises:
            ExportTimeoutError: The deadline passed first; the run continues at the platform.
            ExportError: A failure that is not transient, such as 403 or a deleted run.
        """
        run = await self.finished_within(timedelta.max)
        if run is None:
            raise self._too_late()
        return run

    async def finished_within(self, longest: timedelta) -> ExportRun | None:
        """The same, but None if the run goes on at the age `longest`.

        Raises:
            ExportTimeoutError: The deadline passed first; the run continues at the platform.
            ExportError: A failure that is not transient, such as 403 or a deleted run.
        """
        name, slots = f"export run {self.run_id}", self.itwin.poll_slots
        longest = min(longest, self.timeout)
        await self._await_first_poll(longest)
        poller = Poller(name, self._read_run, self.age, longest, self.backoff, self.log, slots, self.sleep)
        run = await poller.poll()
        if run is None and self.age() >= self.timeout:
            raise self._too_late()
        return run

    async def _await_first_poll(self, longest: timedelta) -> None:
        """Let a run that the platform has just named become as old as the first pause between two polls."""
        pause = min(timedelta(seconds=self.backoff.pause(0.0)), longest) - self.age()
        if pause > timedelta(0):
            await self.sleep(pause.total_seconds())

    @property
    def counts_from(self) -> datetime:
        """When the run started, as far as that is known, by the platform's clock."""
        return self._started_at or self.since

    async def _read_run(self) -> ExportRun | None:
        """Read the run; None while it is not finished."""
        try:
            run = await self.itwin.exports.get_run(self.connection_id, self.run_id)
        except NotFoundError:
            if self._seen or self.age() > CREATION_GRACE:
                raise
            return None  # undocumented: a new run may answer 404 for a short time
        self._note_start(run)
        self._note_state(run)
        return run if run.is_finished else None

    def _note_start(self, run: ExportRun) -> None:
        """Count from the run's own start; a start in the future is ignored as unknown."""
        start = run.start_date_time
        if self.counts_own_age and start is not None and start <= self.itwin.client.server_now() + AGREEMENT:
            self._started_at = start

    def age(self) -> timedelta:
        """How long the run has gone on."""
        clock = self.itwin.client.clock
        self.since = clock.not_ahead(self.since)
        return clock.elapsed_since(self.counts_from)

    def _note_state(self, run: ExportRun) -> None:
        state = str(run.state)
        if state in self._seen:
            return
        self._seen.add(state)
        current_progress().note_state(state)
        if isinstance(run.state, ExecutionState):
            level = logging.DEBUG if run.state is ExecutionState.NOT_STARTED else logging.INFO
            self.log.log(level, "Export run %s: %s", self.run_id, state)
        else:
            self.log.warning("Export run %s is in the unknown state “%s”; waiting for its end.", self.run_id, state)

    def _too_late(self) -> ExportTimeoutError:
        return ExportTimeoutError(
            f"Export run {self.run_id} on connection {self.connection_id} did not finish within "
            f"{self.timeout.total_seconds() / 60:g} minutes. The run goes on at the platform: run the same command "
            f"again to pick it up, with a larger timeout_minutes if it needs longer."
        )


def read_poll_backoff() -> PollBackoff:
    """The back-off that `ITWIN_POLL_SECONDS` and `ITWIN_POLL_MAX_SECONDS` set."""
    settings = read_settings()
    return PollBackoff(settings.poll_seconds, settings.poll_max_seconds)
