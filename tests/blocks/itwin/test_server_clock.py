"""The platform's time as the transport knows it: what is believed of the `Date` of its responses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.server_clock import LARGEST_JUMP, ServerClock
from blocks.itwin.transport import Transport
from tests.blocks.itwin.platform import API, FakeTime, answer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
IN_2099 = datetime(2099, 1, 1, tzinfo=UTC)
SLACK = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@dataclass
class Dated:
    """A transport to a server whose responses are dated as told; a second passes before each of them.

    `behind` is how much this machine's clock is behind the true time.
    """

    behind: timedelta = timedelta(0)
    time: FakeTime = field(default_factory=FakeTime)
    date: str | None = None

    def __post_init__(self) -> None:
        self.transport = Transport(
            RequestLimiter(1_000_000, clock=self.time, sleep=self.time.sleep),
            http_transport=httpx.MockTransport(self._answer),
            clock=ServerClock(monotonic=self.time, local_now=lambda: self.true_time - self.behind),
        )

    @property
    def true_time(self) -> datetime:
        return NOW + timedelta(seconds=self.time.now - 1000)

    @property
    def error(self) -> timedelta:
        """How far the transport's idea of the platform's time is ahead of the true time."""
        return self.transport.clock.now() - self.true_time

    async def ask(self, date: datetime | str | None) -> None:
        self.time.now += 1
        self.date = format_datetime(date, usegmt=True) if isinstance(date, datetime) else date
        await self.transport.send(httpx.Request("GET", API), what="Look")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        del request
        return answer({}) if self.date is None else answer({}, Date=self.date)


@pytest.mark.parametrize("behind", [timedelta(0), HOUR, -HOUR, timedelta(days=20_000)])
async def test_the_platforms_clock_is_known_from_two_answers(behind: timedelta) -> None:
    """However wrong this machine's clock is, two answers that agree tell the platform's time."""
    dated = Dated(behind)
    for _ in range(2):
        await dated.ask(dated.true_time)
    assert abs(dated.error) <= SLACK
    assert dated.transport.clock.is_known


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("date", [IN_2099, NOW + 5 * HOUR, NOW - 5 * HOUR, datetime(2001, 1, 1, tzinfo=UTC)])
async def test_one_wrong_date_is_not_believed(before: int, date: datetime) -> None:
    """A single wrong Date changes nothing, whether it comes first or later, before the next answer and after it."""
    dated = Dated()
    for _ in range(before):
        await dated.ask(dated.true_time)
    await dated.ask(date)
    assert abs(dated.error) <= SLACK
    for _ in range(3):
        await dated.ask(dated.true_time)
        assert abs(dated.error) <= SLACK


async def test_one_wrong_date_is_not_believed_while_this_machines_clock_is_wrong_too() -> None:
    """With a wrong local clock and a wrong first Date, the next two answers tell the time."""
    dated = Dated(behind=5 * HOUR)
    await dated.ask(IN_2099)
    await dated.ask(dated.true_time)
    assert dated.error == -5 * HOUR  # this machine's, as long as nothing better is known
    await dated.ask(dated.true_time)
    assert abs(dated.error) <= SLACK


async def test_a_jump_that_the_next_answer_confirms_is_believed() -> None:
    """A platform whose clock is put forward by hours is believed with its second answer."""
    dated = Dated()
    for jump, error in [(0, 0), (10, 0), (10, 10), (10, 10)]:
        await dated.ask(dated.true_time + jump * HOUR)
        assert abs(dated.error - error * HOUR) <= SLACK


async def test_a_jump_of_years_is_never_believed() -> None:
    """Once the time is known, a Date that is more than a day ahead is ignored however often it comes."""
    dated = Dated()
    await dated.ask(dated.true_time)
    for ahead in [IN_2099 - NOW, LARGEST_JUMP + timedelta(minutes=1)] * 5:
        await dated.ask(dated.true_time + ahead)
        await dated.ask(dated.true_time + ahead)
        assert abs(dated.error) <= SLACK


async def test_a_date_that_stands_still_does_not_stop_the_clock() -> None:
    """Where all answers have the same Date, time goes on by the monotonic clock."""
    dated = Dated()
    for _ in range(600):
        await dated.ask(NOW)
    assert abs(dated.error) <= SLACK


async def test_a_time_wrongly_believed_is_put_right() -> None:
    """After two wrong answers at the beginning, the first that this machine's clock confirms is believed."""
    dated = Dated()
    for _ in range(2):
        await dated.ask(IN_2099)
    assert dated.error > 365 * timedelta(days=1)
    await dated.ask(dated.true_time)
    assert abs(dated.error) <= SLACK


@pytest.mark.parametrize(
    "date",
    [
        None,
        "yesterday",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +1200",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
async def test_no_date_and_impossible_dates_leave_this_machines_clock(date: str | None) -> None:
    """Without a Date, or with placeholders and years nobody lives in, this machine's clock counts."""
    dated = Dated()
    for _ in range(3):
        await dated.ask(date)
        assert dated.error == timedelta(0)
    assert dated.transport.clock.elapsed_since(NOW) == timedelta(seconds=3)


async def test_a_local_clock_that_is_set_meanwhile_does_not_matter() -> None:
    """Setting this machine's clock while a process runs changes nothing, with and without answers."""
    for before in (0, 2):
        dated = Dated()
        for _ in range(before):
            await dated.ask(dated.true_time)
        dated.behind = -5 * HOUR
        assert abs(dated.error) <= SLACK
        for _ in range(2):
            await dated.ask(dated.true_time)
            assert abs(dated.error) <= SLACK


async def test_nothing_is_overdue_while_the_time_is_in_doubt() -> None:
    """One answer that contradicts this machine's clock makes nothing older than the process; the second one tells."""
    dated = Dated(behind=-5 * HOUR)
    await dated.ask(dated.true_time)
    asked_at = NOW - HOUR
    assert dated.transport.clock.elapsed_since(asked_at) == timedelta(seconds=1)
    await dated.ask(dated.true_time)
    assert abs(dated.transport.clock.elapsed_since(asked_at) - HOUR) <= 3 * SLACK
