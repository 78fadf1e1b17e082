"""Waiting for the platform: polled politely, by its own clock, through every weather until the deadline."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import Logger, LoggerAdapter
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from blocks.errors import ExportError, ExportTimeoutError, NotFoundError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import ExecutionState, ExportRun
from blocks.settings import read_settings

CREATION_GRACE = timedelta(minutes=2)
MAX_CONCURRENT_POLLS = 8
"""Looks on their way at once in one event loop. The others wait, the longest due first, where they are in nobody's
way: of the requests that the budget allows, those that bring an export forward are not behind a thousand looks."""
LAST_POLL_SECONDS = 60.0
"""What the last look may take, which begins at the deadline."""

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

Log = Logger | LoggerAdapter[Logger]
Found = TypeVar("Found")


@dataclass(frozen=True)
class PollBackoff:
    """How often a run is looked at; seconds."""

    first: float
    longest: float

    def pause(self, age: float) -> float:
        """Seconds until the next look: a tenth of the run's age between the two settings, slightly jittered.

        A run older than 16 times the longest pause is looked at every sixteenth of its age, so that hours of waiting
        cost few requests.
        """
        steady = min(age / 10, max(self.longest, age / 16))
        return max(self.first, steady) * random.uniform(0.93, 1.0)  # noqa: S311  jitter is no secret


@dataclass
class Poller(Generic[Found]):
    """Looking for something again and again, through every weather until the deadline.

    Args:
        name: What is looked at, for messages.
        look: One look; none while it is not there yet.
        age: How long it has been waited for.
    """

    name: str
    look: Callable[[], Awaitable[Found | None]]
    age: Callable[[], timedelta]
    timeout: timedelta
    pace: PollBackoff
    log: Log
    sleep: Callable[[float], Any] = asyncio.sleep
    _complained: str = ""

    async def found(self) -> Found | None:
        """What was looked for; none when the deadline passed first.

        Raises:
            ExportError: An answer that cannot get better, such as 403.
        """
        while True:
            found = await self._poll_in_time()
            if found is not None or self.age() >= self.timeout:
                return found
            age = self.age().total_seconds()
            await self.sleep(max(0.0, min(self.pace.pause(age), self.timeout.total_seconds() - age)))

    async def _poll_in_time(self) -> Found | None:
        """One look; none where the platform's pause (429) lasts beyond the deadline."""
        left = (self.timeout - self.age()).total_seconds()
        try:
            async with asyncio.timeout(max(left, LAST_POLL_SECONDS)):
                return await self._poll_once()
        except TimeoutError:
            return None

    async def _poll_once(self) -> Found | None:
        """One look; none too when it failed in a way that the next one may not."""
        try:
            async with _looks_due():
                found = await self.look()
        except ExportError as error:
            if not error.is_transient:
                raise
            self._complain(str(error))
            return None
        self._complained = ""
        return found

    def _complain(self, problem: str) -> None:
        kind = problem.partition(" (")[0]  # without the correlation id, which is never the same
        if kind != self._complained:
            self._complained = kind
            self.log.warning("Looking at %s failed; trying on. %s", self.name, problem)


def _looks_due() -> asyncio.Semaphore:
    """Where looks that are due wait for their turn; asyncio's semaphore lets the first come first."""
    return _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_CONCURRENT_POLLS))


@dataclass
class RunPoller:
    """One run being waited for.

    Args:
        since: When the wait began, by the platform's clock; a run tells its own start as soon as it has one.
        timeout: Longest wait, counted from the run's own start, or from `since`.
        counts_own_age: Count from the run's own start.
    """

    itwin: ItwinApis
    connection_id: str
    run_id: str
    since: datetime
    timeout: timedelta
    pace: PollBackoff
    log: Log
    counts_own_age: bool = True
    sleep: Callable[[float], Any] = asyncio.sleep
    _seen: set[str] = field(default_factory=set[str])
    _started_at: datetime | None = None

    async def finished(self) -> ExportRun:
        """The run once it is finished, however it ended.

        Raises:
            ExportTimeoutError: The deadline passed first; the remote run goes on.
            ExportError: An answer that cannot get better, such as 403 or a run gone for good.
        """
        name = f"export run {self.run_id}"
        rounds = Poller(name, self._look, self._age, self.timeout, self.pace, self.log, self.sleep)
        run = await rounds.found()
        if run is None:
            raise self._too_late()
        return run

    async def _look(self) -> ExportRun | None:
        """The run if it is finished."""
        try:
            run = await self.itwin.exports.get_run(self.connection_id, self.run_id)
        except NotFoundError:
            if self._seen or self._age() > CREATION_GRACE:
                raise
            return None  # a run may be unknown for a moment after its creation
        if self.counts_own_age:
            self._started_at = run.start_date_time or self._started_at
        self._note_state(run)
        return run if run.is_finished else None

    def _age(self) -> timedelta:
        now = self.itwin.client.server_now()
        return max(timedelta(0), now - (self._started_at or self.since))

    def _note_state(self, run: ExportRun) -> None:
        state = str(run.state)
        if state in self._seen:
            return
        self._seen.add(state)
        if isinstance(run.state, ExecutionState):
            self.log.info("Export run %s: %s", self.run_id, state)
        else:
            self.log.warning("Export run %s is in the unknown state “%s”; waiting on.", self.run_id, state)

    def _too_late(self) -> ExportTimeoutError:
        return ExportTimeoutError(
            f"Export run {self.run_id} on connection {self.connection_id} did not finish within "
            f"{self.timeout.total_seconds() / 60:g} minutes. The run goes on at the platform: run the same command "
            f"again to pick it up, with a larger timeout_minutes if it needs longer."
        )


def read_poll_backoff() -> PollBackoff:
    """How often runs are looked at, as the environment says."""
    settings = read_settings()
    return PollBackoff(settings.poll_seconds, settings.poll_max_seconds)
