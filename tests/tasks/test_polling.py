"""Polling of runs, with simulated time and injected faults."""

import asyncio
import logging
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from blocks.errors import ExportTimeoutError, NotAuthorizedError, NotFoundError, RequestRefusedError
from blocks.itwin.api.exports import RunInput, RunOutput
from blocks.itwin.apis import MAX_CONCURRENT_POLLS, apis_of
from blocks.itwin.models import ExportRun
from blocks.itwin.rate_limit import RequestLimiter
from deployments.sandbox.faults.faults import Fault
from tasks.polling import PollBackoff, Poller, RunPoller
from tests.blocks.itwin.platform import MOMENT, Platform, answer, client_to
from tests.blocks.itwin.test_rate_limit import Schedule
from tests.tasks.run_specs import LOG, connection_on, minutes
from tests.tasks.run_states import POLITE, States

GET_RUN = "/runs/."
HOUR = 3600.0


async def poller_on(platform: Platform, seconds: float, limit: float = 600, **more: Any) -> RunPoller:
    """A poller of a run that takes `seconds` seconds."""
    platform.state.options.run_seconds = seconds
    connection = await connection_on(platform)
    started = await platform.itwin.exports.create_run(connection, RunInput("IFC4.3"), RunOutput("STORAGE"))
    since = more.pop("since", platform.state.clock.now())
    return RunPoller(
        platform.itwin, connection, started.run_id, since, minutes(limit), POLITE, LOG, sleep=platform.sleep, **more
    )


def polls(platform: Platform) -> int:
    return next(iter(platform.state.runs)).polls


async def test_a_run_of_an_hour_costs_few_requests(platform: Platform) -> None:
    """With the usual settings a run of an hour is polled at most 70 times."""
    run = await (await poller_on(platform, HOUR)).finished()
    assert run.is_finished
    assert 20 <= polls(platform) <= 70


@pytest.mark.parametrize("seconds", [0, 3, 47, 200, 1111, HOUR, 4 * HOUR])
async def test_the_end_is_noticed_soon(platform: Platform, seconds: float) -> None:
    """The end of a run is detected within a tenth of its age, or within the first pause."""
    await (await poller_on(platform, seconds)).finished()
    late = (platform.state.clock.now() - MOMENT).total_seconds() - seconds
    assert late <= max(POLITE.first, (seconds + 1) / 9)


async def test_a_pause_beyond_the_deadline_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that a Retry-After of an hour delays is cancelled at the deadline."""
    monkeypatch.setattr("tasks.polling.LAST_POLL_SECONDS", 0.05)
    started = time.monotonic()

    async def held() -> str:
        await asyncio.sleep(HOUR)
        return "found"

    def age() -> timedelta:
        return timedelta(seconds=time.monotonic() - started)

    poller = Poller("it", held, age, timedelta(seconds=0.1), POLITE, LOG, asyncio.Semaphore())
    assert await asyncio.wait_for(poller.poll(), 10) is None


def test_pauses_stay_between_the_settings() -> None:
    """Up to an age of 16 minutes no pause is longer than the longest or shorter than the first."""
    for age in range(0, 960, 7):
        assert 5 <= POLITE.pause(age) <= 60
    assert PollBackoff(10, 3).pause(1000) > 3


async def test_each_state_is_logged_once(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """Each state of a run is logged once, in order, however often the run is polled."""
    with caplog.at_level(logging.DEBUG, LOG.name):
        await (await poller_on(platform, 600)).finished()
    said = [record.getMessage().rpartition(" ")[2] for record in caplog.records]
    assert said == ["NotStarted", "Queued", "Executing", "Finalizing", "Completed"]


async def test_unknown_states_are_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown state is logged once as a warning, and polling continues; two unknown states are two warnings."""
    await States(["Odd", "Odd", "Executing", "Odd", "Stranger", "Completed"]).watch().finished()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "“Odd”" in warnings[0]
    assert "“Stranger”" in warnings[1]


async def test_a_run_may_be_unknown_right_after_its_creation() -> None:
    """A 404 in the first two minutes, before the run was seen, does not end the polling."""
    missing = answer({"error": {"code": "ConnectionRunNotFound"}}, 404)
    assert (await States([missing, missing, "Executing", "Completed"]).watch().finished()).is_finished


@pytest.mark.parametrize(("before", "within"), [(["Executing"], 10), ([], 180)])
async def test_a_run_that_is_gone_is_an_error(before: list[str | httpx.Response], within: float) -> None:
    """A 404 ends the polling: at once for a run that was seen, after two minutes for one that was not."""
    server = States([*before, answer(status=404)])
    with pytest.raises(NotFoundError):
        await server.watch().finished()
    assert server.seconds <= within


@pytest.mark.parametrize(("status", "kind"), [(403, NotAuthorizedError), (422, RequestRefusedError)])
async def test_a_permanent_error_ends_the_polling(status: int, kind: type[Exception]) -> None:
    """An error that is not transient is raised at once."""
    server = States(["Executing", answer(status=status)])
    with pytest.raises(kind):
        await server.watch().finished()
    assert server.looks == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=GET_RUN, nth=2, count=15, status=503, code="Busy"),
        Fault(path=GET_RUN, nth=2, count=15, status=500, body="<html>"),
        Fault(path=GET_RUN, nth=2, count=15, status=200, body="<html>"),
        Fault(path=GET_RUN, nth=2, count=15, status=200, body='{"run": null}', content_type="application/json"),
        Fault(path=GET_RUN, nth=2, count=15, cut="before"),
    ],
    ids=["503", "HTML", "garbage", "null", "reset"],
)
async def test_transient_errors_are_tolerated(
    platform: Platform, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Temporary errors, invalid bodies and connection resets do not end the polling, and are logged once."""
    platform.state.faults.add(fault)
    assert (await (await poller_on(platform, 900)).finished()).is_finished
    assert fault.hits == 15
    assert sum("trying again" in record.getMessage() for record in caplog.records) == 1


async def test_many_429s_are_tolerated() -> None:
    """Polling continues after any number of answers with 429."""
    server = States(["Executing", *[answer(status=429)] * 40, "Completed"])
    assert (await server.watch().finished()).is_finished
    assert server.looks == 42


async def test_errors_until_the_deadline(platform: Platform) -> None:
    """If every poll fails, polling ends at the deadline, not earlier and not much later."""
    platform.state.faults.add(Fault(path=GET_RUN, nth=2, count=None, status=503))
    with pytest.raises(ExportTimeoutError):
        await (await poller_on(platform, HOUR, limit=20)).finished()
    waited = (platform.state.clock.now() - MOMENT).total_seconds()
    assert 1200 <= waited <= 1205


async def test_the_deadline_counts_from_the_runs_own_start(platform: Platform) -> None:
    """A wait that is resumed later has only the remaining time, by the platform's clock."""
    picked_up = await poller_on(platform, 10 * HOUR, limit=60)
    await platform.sleep(50 * 60)
    picked_up.since = platform.state.clock.now()
    with pytest.raises(ExportTimeoutError, match="60 minutes"):
        await picked_up.finished()
    waited = (platform.state.clock.now() - MOMENT).total_seconds()
    assert 3600 <= waited <= 3605


async def test_the_age_of_another_clients_run_does_not_count(platform: Platform) -> None:
    """With `counts_own_age=False` the time-out counts from the beginning of the wait."""
    other = await poller_on(platform, 10 * HOUR, limit=60, counts_own_age=False)
    await platform.sleep(50 * 60)
    other.since = platform.state.clock.now()
    with pytest.raises(ExportTimeoutError):
        await other.finished()
    assert (platform.state.clock.now() - MOMENT).total_seconds() >= 110 * 60


async def test_a_finished_run_is_taken_after_the_deadline_too() -> None:
    """A run that ended before the first poll is returned even after the deadline."""
    server = States(["Completed"], seconds=10 * HOUR, started="2026-11-22T12:00:00Z")
    assert isinstance(await server.watch(timeout=1).finished(), ExportRun)


async def test_the_message_says_what_goes_on() -> None:
    """The error names run, connection and minutes, and says that the run continues and can be fetched later."""
    with pytest.raises(ExportTimeoutError) as caught:
        await States(["Executing"]).watch(timeout=1.5).finished()
    for part in ("run r", "connection c", "1.5 minutes", "goes on", "same command again", "timeout_minutes"):
        assert part in str(caught.value)


async def test_the_local_clock_does_not_matter() -> None:
    """The wait has the same length if the platform's clock differs by a year."""
    server = States(["Executing"], seconds=365 * 24 * HOUR)
    itwin = apis_of(client_to(server, time=server.time))
    since = MOMENT + minutes(server.seconds / 60)
    patient = RunPoller(itwin, "c", "r", since, minutes(10), POLITE, LOG, sleep=server.sleep)
    with pytest.raises(ExportTimeoutError):
        await patient.finished()
    assert 600 <= round(sum(server.slept), 3) <= 605


async def test_a_thousand_waits_leave_room_for_other_requests() -> None:
    """Polls stay within a small request budget, run in order of arrival, and leave room for other requests."""
    schedule = Schedule()
    limiter = RequestLimiter(600, clock=schedule, sleep=schedule.sleep)
    looks: list[tuple[float, int]] = []
    slots = asyncio.Semaphore(MAX_CONCURRENT_POLLS)

    def poller(number: int) -> Poller[str]:
        async def look() -> None:
            await limiter.admit()
            looks.append((schedule.now, number))

        return Poller(
            str(number), look, lambda: timedelta(seconds=schedule.now), minutes(10), POLITE, LOG, slots, schedule.sleep
        )

    waits = [asyncio.create_task(poller(number).poll()) for number in range(1000)]
    await schedule.run_until(240)
    other = asyncio.create_task(limiter.admit())
    await schedule.run_until(243)
    assert other.done()
    for begin in range(0, 180, 15):
        assert sum(begin <= at < begin + 60 for at, _ in looks) <= 600
    seen = Counter(number for _, number in looks)
    assert max(seen.values()) - min(seen.values()) <= 1
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
