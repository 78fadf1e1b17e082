"""The same command twice at the same time."""

import pytest

from tests.processes.commands import CliSandbox, assert_shared


@pytest.mark.crash
def test_two_commands_at_once_make_one_run(cli_sandbox: CliSandbox) -> None:
    """Both end with the same verified files of the one run, or the second says that there was nothing to do."""
    assert_shared(cli_sandbox, cli_sandbox.export_twice())
