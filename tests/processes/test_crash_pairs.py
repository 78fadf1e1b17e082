"""Twenty pairs of commands at the same time; `make crash` runs it, for it takes minutes."""

import time

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import CliSandbox, assert_shared

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("pair", range(20))
def test_two_commands_make_one_run(cli_sandbox: CliSandbox, pair: int) -> None:
    """However long the run takes and whoever comes first, two commands share one run."""
    cli_sandbox.sandbox.state.imodels[SEEDED.plant].run_seconds = 0.1 * pair
    assert_shared(cli_sandbox, cli_sandbox.export_twice())


@pytest.mark.parametrize("lag", [0.2, 0.5, 1, 1.5])
def test_a_command_that_comes_later_shares_the_run(cli_sandbox: CliSandbox, lag: float) -> None:
    """The second may come while the first waits, fetches or publishes."""
    first = cli_sandbox.start()
    time.sleep(lag)
    second = cli_sandbox.export()
    assert first.ended().exit_code == 0
    cli_sandbox.assert_right(second)
