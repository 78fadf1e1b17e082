"""A laptop that sleeps while exports wait: its processes stand still, and the platform's clock goes on."""

import signal

import pytest

from tasks.reports import BatchReport
from tests.processes.batch_runs import add_imodels, start_night
from tests.processes.commands import HOUR, CliSandbox, until

NIGHT = 8 * HOUR


@pytest.mark.crash
def test_exports_are_fetched_after_a_night_asleep(cli_sandbox: CliSandbox) -> None:
    """After a sleep beyond the time limit, what the platform has finished meanwhile is fetched, from its one run."""
    add_imodels(cli_sandbox, 1)
    cli_sandbox.sandbox.state.options.run_seconds = NIGHT - HOUR
    commands = [cli_sandbox.start("--timeout-minutes", "120"), start_night(cli_sandbox, "--timeout-minutes", "120")]
    until(lambda: len(cli_sandbox.runs) == 2 and all(run.polls > 1 for run in cli_sandbox.runs), "waiting for the runs")
    for command in commands:
        command.process.send_signal(signal.SIGSTOP)
    cli_sandbox.sandbox.state.clock.advance(NIGHT)
    for command in commands:
        command.process.send_signal(signal.SIGCONT)
    single, batch = [command.ended() for command in commands]
    assert (single.exit_code, batch.exit_code) == (0, 0), single.stderr + batch.stderr
    assert BatchReport.model_validate_json(batch.stdout).exported == 1
    assert len(cli_sandbox.runs) == 2
    assert cli_sandbox.published
