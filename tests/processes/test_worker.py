"""A flow run under a real process worker that is killed or cancelled: one run at the platform, the right file."""

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import HOUR, CliSandbox, until
from tests.processes.kill_points import KILL_POINTS
from tests.processes.workers import Worker, last_report


def test_a_flow_run_killed_under_a_worker_is_retried(worker: Worker, cli_sandbox: CliSandbox) -> None:
    """A flow run that dies after it started a run without knowing is taken up again by its retry."""
    (point,) = [point for point in KILL_POINTS if point.name == "having started a run without knowing"]
    worker.kill_at_and_retry(point, cli_sandbox)
    cli_sandbox.assert_right(last_report(cli_sandbox))


def test_a_flow_run_cancelled_under_a_worker_says_what_goes_on(worker: Worker, cli_sandbox: CliSandbox) -> None:
    """A cancelled flow run stops long before its remote run and says what goes on; the next one adopts it."""
    cli_sandbox.sandbox.state.imodels[SEEDED.plant].run_seconds = HOUR
    flow_run = worker.start(cli_sandbox)
    until(lambda: cli_sandbox.runs and cli_sandbox.runs[0].polls > 1, "waiting for the run")
    flow_run.cancel()
    assert flow_run.settled() == "CANCELLED"
    said = f"Export run {cli_sandbox.runs[0].id} on connection {cli_sandbox.runs[0].connection_id} goes on"
    assert said in flow_run.artifacts()
    until(lambda: said in flow_run.logs(), "the log")
    assert cli_sandbox.published == []
    cli_sandbox.sandbox.state.clock.advance(HOUR)
    report = cli_sandbox.export()
    cli_sandbox.assert_right(report)
    assert report.adopted
