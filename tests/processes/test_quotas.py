"""A batch against a platform with an hourly quota, in hours that last less."""

import time

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import BatchReport
from tests.processes.batch_runs import NAME, add_imodels
from tests.processes.commands import LONGEST_WAIT, CliSandbox, Command, Ended, until

HOUR = 3600.0


def start_batch(cli_sandbox: CliSandbox, count: int, factor: float, **settings: str) -> Command:
    """Export so many iModels with hours shorter by this factor."""
    add_imodels(cli_sandbox, count)
    command = ["-m", "tests.short_hours", str(factor), "itwin", SEEDED.itwin, "--name-contains", NAME, "--json"]
    return cli_sandbox.begin(*command, ITWIN_TASK_RUNS_PER_SECOND="1000", **settings)


def assert_all_exported(cli_sandbox: CliSandbox, command: Command, count: int) -> Ended:
    """Wait for the end of a batch that gives up nothing and starts nothing twice."""
    ended = command.ended(2 * LONGEST_WAIT)
    assert ended.exit_code == 0, ended.stderr
    report = BatchReport.model_validate_json(ended.stdout)
    assert (report.exported, report.failed, len(cli_sandbox.runs)) == (count, 0, count)
    return ended


def test_a_long_pause_gives_up_no_export(cli_sandbox: CliSandbox) -> None:
    """A batch refused with Retry-After: 900 waits once for all of it, says so once, and exports everything."""
    refused = cli_sandbox.sandbox.state.faults.add(Fault(path="/export/", status=429, retry_after=900, count=None))
    command = start_batch(cli_sandbox, 6, factor=90)
    until(lambda: refused.hits, "the first refusal")
    time.sleep(0.3)  # what else is on its way
    refused.count = refused.seen
    ended = assert_all_exported(cli_sandbox, command, 6)
    assert ended.stderr.count("asks for a pause of 900 seconds (429") == 1


@pytest.mark.crash
def test_an_hourly_budget_is_kept(cli_sandbox: CliSandbox) -> None:
    """With ITWIN_REQUESTS_PER_HOUR=20, no hour has more requests, and everything is exported."""
    budget, factor = 20, 720
    command = start_batch(cli_sandbox, 2, factor, ITWIN_REQUESTS_PER_HOUR=str(budget))
    assert_all_exported(cli_sandbox, command, 2)
    sent = [entry.at.timestamp() for entry in cli_sandbox.sandbox.state.log if entry.had_token]
    assert len(sent) > budget
    assert all(later - first > 0.8 * HOUR / factor for first, later in zip(sent, sent[budget:], strict=False))
