"""How the recovery service counts silence."""

from datetime import UTC, datetime, timedelta

from deployments.recovery.cut_runs import Tolerance
from deployments.recovery.service import ObservedTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


def test_three_missed_heartbeats_are_silence() -> None:
    """How often a flow run beats is told by its last two heartbeats; a gap counts as the longest interval."""
    tolerance = Tolerance()
    often = [NOW, NOW - timedelta(seconds=30)]
    gap = [NOW, NOW - timedelta(hours=8)]
    assert tolerance.silence(often) == timedelta(seconds=150)
    assert tolerance.silence(gap) == tolerance.silence([]) == timedelta(seconds=600)


def test_processes_of_the_user_are_left_alive() -> None:
    """Where workers have 30 seconds, a process with Prefect's 180 lives on between two of its heartbeats."""
    tolerance = Tolerance(heartbeat=timedelta(seconds=30))
    often, seldom = ([NOW, NOW - timedelta(seconds=seconds)] for seconds in (30, 180))
    assert tolerance.silence(often) == timedelta(seconds=150)
    assert tolerance.silence([NOW]) == timedelta(seconds=240)
    assert tolerance.silence(seldom) == timedelta(seconds=600)
