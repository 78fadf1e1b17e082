"""The rate limiter of a process."""

import asyncio
import heapq
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.itwin.rate_limit import HOUR_SECONDS, CombinedLimiter, RequestLimiter, new_limiter

Waiter = tuple[float, int, "asyncio.Future[None]"]


@dataclass
class Schedule:
    """A manual clock whose sleepers wake in order, some of them late."""

    now: float = 0.0
    late: list[float] = field(default_factory=list[float])
    sleepers: list[Waiter] = field(default_factory=list[Waiter])
    count: int = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.now + seconds, self.count, future))
        await future

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def run_until(self, moment: float) -> None:
        """Advance to a time and wake the sleepers due by then."""
        await self.settle()
        while self.sleepers and self.sleepers[0][0] <= moment:
            due, _, future = heapq.heappop(self.sleepers)
            stall = self.late.pop() if self.late else 0.0
            self.now = max(self.now, due) + stall
            future.set_result(None)
            await self.settle()
        self.now = max(self.now, moment)


@dataclass
class Queue:
    """Sends requests through a limiter and records when each was admitted."""

    per_minute: int
    schedule: Schedule = field(default_factory=Schedule)
    admitted: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def __post_init__(self) -> None:
        self.limiter: RequestLimiter | CombinedLimiter = RequestLimiter(
            self.per_minute, clock=self.schedule, sleep=self.schedule.sleep
        )

    async def add(self, count: int) -> None:
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self._one(len(self.tasks))))
        await self.schedule.settle()

    async def _one(self, number: int) -> None:
        await self.limiter.admit()
        self.admitted.append((self.schedule.now, number))

    def most_in_a_minute(self) -> int:
        moments = sorted(moment for moment, _ in self.admitted)
        return max(sum(1 for other in moments if start <= other < start + 59.999) for start in moments)


Step = tuple[int, float, float]
steps = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 40), st.sampled_from([0, 0, 0, 1, 20])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), steps, st.lists(st.sampled_from([0, 0, 0, 0.01, 0.5, 5, 30]), max_size=40))
def test_never_more_than_the_budget_in_any_minute(per_minute: int, script: list[Step], late: list[float]) -> None:
    """For any requests, pauses and suspensions no 60 seconds exceed the budget, and all requests are admitted."""

    async def play() -> Queue:
        queue = Queue(per_minute, Schedule(late=list(late)))
        for count, wait, pause in script:
            await queue.add(count)
            if pause:
                queue.limiter.pause(pause)
            await queue.schedule.run_until(queue.schedule.now + wait)
        await queue.add(1)
        await queue.schedule.run_until(queue.schedule.now + 100_000)
        return queue

    queue = asyncio.run(play())
    assert len(queue.admitted) == len(queue.tasks)
    assert queue.most_in_a_minute() <= per_minute


async def test_first_come_first_served_across_pauses() -> None:
    """Requests are admitted in order of arrival, also those that wait for a pause or arrive during it."""
    queue = Queue(20)
    await queue.add(12)
    await queue.schedule.run_until(8)
    queue.limiter.pause(30)
    await queue.add(6)
    await queue.schedule.run_until(15)
    await queue.add(6)
    await queue.schedule.run_until(10_000)
    assert [number for _, number in queue.admitted] == list(range(24))


async def test_a_standstill_keeps_the_order_and_makes_no_burst() -> None:
    """After a process was suspended for a minute, the overdue requests are admitted in order at the usual rate."""
    queue = Queue(60, Schedule(late=[60.0]))
    await queue.add(60)
    await queue.schedule.run_until(10_000)
    moments = [moment for moment, _ in queue.admitted]
    assert [number for _, number in queue.admitted] == list(range(60))
    assert sum(1 for moment in moments if 60 < moment <= 62) <= 3


async def test_a_pause_holds_everybody() -> None:
    """During a pause no request is admitted, neither waiting nor new ones."""
    queue = Queue(60)
    await queue.add(10)
    before = len(queue.admitted)
    queue.limiter.pause(50)
    await queue.add(10)
    await queue.schedule.run_until(49.9)
    assert len(queue.admitted) == before
    await queue.schedule.run_until(1000)
    assert len(queue.admitted) == 20


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """Two pauses at once last as long as the longer one, not as long as both."""
    queue = Queue(60)
    queue.limiter.pause(40)
    queue.limiter.pause(10)
    await queue.add(1)
    await queue.schedule.run_until(500)
    assert queue.admitted[0][0] == pytest.approx(40)


async def test_a_few_requests_go_at_once_and_a_queue_moves_evenly() -> None:
    """A tenth of the budget is admitted at once and the rest within the minute."""
    queue = Queue(450)
    await queue.add(450)
    assert len(queue.admitted) == 45
    await queue.schedule.run_until(60)
    assert len(queue.admitted) == 450


async def test_an_hourly_budget_holds_beside_the_minutes() -> None:
    """With 60 a minute and 100 an hour, no minute holds more than 60 and no hour more than 100, and all are sent."""
    schedule = Schedule()
    hour = RequestLimiter(100, window_seconds=HOUR_SECONDS, clock=schedule, sleep=schedule.sleep)
    queue = Queue(60, schedule)
    queue.limiter = CombinedLimiter(hour, RequestLimiter(60, clock=schedule, sleep=schedule.sleep))
    await queue.add(250)
    await queue.schedule.run_until(4 * HOUR_SECONDS)
    moments = [moment for moment, _ in queue.admitted]
    assert len(moments) == 250
    assert queue.most_in_a_minute() <= 60
    assert max(sum(1 for other in moments if start <= other < start + 3599.999) for start in moments) <= 100


async def test_a_pause_tells_whether_it_is_a_new_one() -> None:
    """`pause` is true for the first of similar pauses and for a much longer one."""
    limiter = RequestLimiter(60, clock=Schedule())
    assert [limiter.pause(seconds) for seconds in (900, 900, 901, 3600)] == [True, False, False, True]


def test_an_hourly_budget_is_a_setting() -> None:
    """A process with a budget for the hour keeps to both."""
    assert isinstance(new_limiter(450, 5000), CombinedLimiter)
    assert isinstance(new_limiter(450), RequestLimiter)
