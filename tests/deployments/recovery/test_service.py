"""How the recovery service counts silence."""

from datetime import UTC, datetime, timedelta

from deployments.recovery.lost_flow_runs import Tolerance

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
