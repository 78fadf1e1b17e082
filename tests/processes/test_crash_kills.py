"""SIGKILL at every step of the flow; `make crash` runs it, for it takes minutes."""

import pytest

from tests.processes.commands import CliSandbox
from tests.processes.kill_points import KILL_POINTS, KillPoint, kill_at
from tests.processes.workers import Worker, last_report

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("point", KILL_POINTS, ids=lambda point: point.name)
def test_a_command_killed_at_any_step_is_taken_up_again(cli_sandbox: CliSandbox, point: KillPoint) -> None:
    """Whenever the process dies, the same command ends with the file of the one run, whole."""
    kill_at(point, cli_sandbox)
    cli_sandbox.assert_right(cli_sandbox.export())


@pytest.mark.parametrize("point", KILL_POINTS, ids=lambda point: point.name)
def test_a_flow_run_killed_at_any_step_is_retried(worker: Worker, cli_sandbox: CliSandbox, point: KillPoint) -> None:
    """Whenever a flow run dies under a worker, its retry ends with the file of the one run, whole."""
    worker.kill_at_and_retry(point, cli_sandbox)
    cli_sandbox.assert_right(last_report(cli_sandbox))
