"""A heartbeat that no longer changes."""

import pytest

from blocks.prefect_server.staleness import ObservedTime, StalenessDetector
from tests.blocks.itwin.platform import FakeTime


@pytest.mark.parametrize(
    ("reads", "stale_at"),
    [
        ([(1, "a")] * 12, 10),  # the first read learns the value, ten more are the ten seconds
        ([(1, "a")] * 9 + [(1, "b")] * 12, 19),
        ([(1, "a"), (3600, "a"), (1, "a")], None),  # an hour without an answer counts as two seconds
        ([(3600, "a")] * 6, 5),
        ([(1, number) for number in range(30)], None),
    ],
)
def test_when_it_is_stale(reads: list[tuple[float, object]], stale_at: int | None) -> None:
    """After ten seconds without a change it is stale; time in which nothing was read counts as a fifth at the most."""
    clock = FakeTime()
    detector = StalenessDetector(10, clock=clock)
    found = None
    for number, (seconds, heartbeat) in enumerate(reads):
        clock.now += seconds
        if detector.is_stale(heartbeat) and found is None:
            found = number
    assert found == stale_at


def observed(*moments: float) -> ObservedTime:
    """A clock that was looked at at these moments, with looks every 30 seconds in mind; “run” was seen each time."""
    times = iter(moments)
    clock = ObservedTime(longest_step=60, clock=lambda: next(times))
    for _ in moments:
        clock.advance()
        clock.keep(["run"])
    return clock


def test_silence_is_counted_while_it_can_be_seen() -> None:
    """Looks at regular intervals add up."""
    assert observed(0, 30, 60, 90, 120).age("run") == 120


def test_hours_of_sleep_are_no_silence() -> None:
    """Eight hours between two looks, asleep or without a server, count as one longest step."""
    assert observed(0, 30, 30 + 8 * 3600).age("run") == 90


def test_a_new_sign_of_life_starts_again() -> None:
    """What is seen anew has no age, and what is no longer seen is forgotten."""
    clock = observed(0, 30, 60)
    clock.keep(["run after another heartbeat"])
    assert clock.age("run after another heartbeat") == 0
    clock.keep(["run"])
    assert clock.age("run") == 0
