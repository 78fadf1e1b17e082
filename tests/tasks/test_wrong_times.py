"""Waiting for a run at a platform that tells wrong times."""

import pytest

from blocks.errors import ExportTimeoutError
from deployments.sandbox.clock import http_date
from tests.blocks.itwin.platform import MOMENT
from tests.tasks.run_specs import minutes
from tests.tasks.run_states import States

IN_2099 = "Thu, 01 Jan 2099 00:00:00 GMT"


@pytest.mark.parametrize("look", [1, 2, 3, 4])
@pytest.mark.parametrize("date", [IN_2099, "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"])
async def test_one_wrong_date_does_not_end_a_wait(look: int, date: str) -> None:
    """A single answer whose Date lies neither ends a wait nor makes it longer."""
    server = States(["Executing"], dates={look: date})
    with pytest.raises(ExportTimeoutError):
        await server.watch(timeout=10).finished()
    assert 600 <= round(sum(server.slept), 3) <= 605


async def test_a_platform_whose_clock_stands_still_is_timed_out() -> None:
    """Where every answer has the same Date, the deadline comes by the monotonic clock."""
    server = States(["Executing"], dates=dict.fromkeys(range(1000), http_date(MOMENT)))
    with pytest.raises(ExportTimeoutError):
        await server.watch(timeout=10).finished()
    assert 600 <= round(sum(server.slept), 3) <= 605


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2099-01-01T00:00:00Z"])
async def test_an_impossible_start_is_not_counted_from(start: str) -> None:
    """A run whose start is a placeholder, or lies ahead, is waited for from the time when it was asked for."""
    server = States(["Executing"], started=start)
    with pytest.raises(ExportTimeoutError):
        await server.watch(timeout=10).finished()
    assert 600 <= round(sum(server.slept), 3) <= 605


async def test_a_wait_that_begins_ahead_of_the_platforms_time_is_timed_out() -> None:
    """A note that dates the request after the platform's time counts from now on."""
    server = States(["Executing"])
    poller = server.watch(timeout=10)
    poller.since = MOMENT + minutes(60 * 24 * 365)
    with pytest.raises(ExportTimeoutError):
        await poller.finished()
    assert 600 <= round(sum(server.slept), 3) <= 610
