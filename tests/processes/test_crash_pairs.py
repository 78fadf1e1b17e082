"""Twenty pairs of commands at the same time; `make crash` runs it, for it takes minutes."""

import time

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import CliSandbox, assert_shared

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("pair", range(20))
def test_two_commands_make_one_run(place: CliSandbox, pair: int) -> None:
    """However long the run takes and whoever comes first, two commands share one run."""
    place.sandbox.world.imodels[SEEDED.plant].run_seconds = 0.1 * pair
    assert_shared(place, place.export_twice())


@pytest.mark.parametrize("lag", [0.2, 0.5, 1, 1.5])
def test_a_command_that_comes_later_shares_the_run(place: CliSandbox, lag: float) -> None:
    """The second may come while the first waits, fetches or publishes."""
    first = place.start()
    time.sleep(lag)
    second = place.export()
    assert first.ended().exit_code == 0
    place.assert_right(second)
