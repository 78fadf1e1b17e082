"""A flow run under a real process worker that is killed or cancelled: one run at the platform, the right file."""

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import ask
from tests.processes.commands import HOUR, CliSandbox, until
from tests.processes.kill_points import KILL_POINTS
from tests.processes.server import PrefectServer
from tests.processes.workers import Worker, last_report, worker_process

STOPPING_POOL = "stopping-pool"
PROMISED = 30.0  # seconds until a worker that was told to end has ended


@pytest.mark.crash
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


def test_a_worker_started_in_the_background_of_a_script_stops(server: PrefectServer) -> None:
    """A termination signal ends a worker that was started with interrupts ignored."""
    with worker_process(server, STOPPING_POOL) as process:
        until(lambda: workers_of(server, STOPPING_POOL), "the worker's first heartbeat")
        process.terminate()
        assert process.wait(PROMISED) == 0


def workers_of(server: PrefectServer, pool: str) -> list[dict[str, str]]:
    """The workers of a pool, which a worker makes when it starts."""
    pools = {found["name"] for found in ask("POST", f"{server.url}/work_pools/filter", {})}
    return ask("POST", f"{server.url}/work_pools/{pool}/workers/filter", {}) if pool in pools else []
