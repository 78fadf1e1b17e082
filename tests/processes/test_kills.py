"""SIGKILL in the middle of an export, then the same command again: one run at the platform, the right file."""

import pytest

from tests.processes.commands import CliSandbox
from tests.processes.kill_points import KILL_POINTS, KillPoint, kill_at

REPRESENTATIVE = [point for point in KILL_POINTS if point.is_representative]


@pytest.mark.parametrize("point", REPRESENTATIVE, ids=lambda point: point.name)
def test_a_killed_export_is_taken_up_again(cli_sandbox: CliSandbox, point: KillPoint) -> None:
    """Whenever the process dies, the same command ends with the file of the one run, whole."""
    kill_at(point, cli_sandbox)
    cli_sandbox.assert_right(cli_sandbox.export())
