"""A flow run under a real process worker that is killed or cancelled: one run at the platform, the right file."""

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import HOUR, CliSandbox, until
from tests.processes.kill_points import KILL_POINTS
from tests.processes.workers import Worker, last_report


def test_a_flow_run_killed_under_a_worker_is_retried(worker: Worker, place: CliSandbox) -> None:
    """A flow run that dies after it started a run without knowing is taken up again by its retry."""
    (point,) = [point for point in KILL_POINTS if point.name == "having started a run without knowing"]
    worker.kill_at_and_retry(point, place)
    place.assert_right(last_report(place))


def test_a_flow_run_cancelled_under_a_worker_says_what_goes_on(worker: Worker, place: CliSandbox) -> None:
    """A cancelled flow run stops long before its remote run and says what goes on; the next one adopts it."""
    place.sandbox.world.imodels[SEEDED.plant].run_seconds = HOUR
    flow_run = worker.start(place)
    until(lambda: place.runs and place.runs[0].polls > 1, "waiting for the run")
    flow_run.cancel()
    assert flow_run.settled() == "CANCELLED"
    said = f"Export run {place.runs[0].id} on connection {place.runs[0].connection_id} goes on"
    assert said in flow_run.artifacts()
    until(lambda: said in flow_run.logs(), "the log")
    assert place.published == []
    place.sandbox.world.clock.advance(HOUR)
    report = place.export()
    place.assert_right(report)
    assert report.adopted
