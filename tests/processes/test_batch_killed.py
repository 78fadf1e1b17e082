"""A batch whose process is killed."""

import pytest

from tests.processes.batch_runs import kill_in_the_middle
from tests.processes.commands import CliSandbox


@pytest.mark.parametrize("count", [8])
@pytest.mark.crash
def test_a_killed_batch_is_taken_up_again(cli_sandbox: CliSandbox, count: int) -> None:
    """After a SIGKILL in the middle the same command exports the rest, and no iModel twice."""
    kill_in_the_middle(cli_sandbox, count)
