"""Batches of real size, in real processes."""

from deployments.sandbox.state.seed import SEEDED
from tasks.reports import BatchReport
from tests.processes.commands import LONGEST_WAIT, CliSandbox, Command, until

NAME = "Night"
TIMEOUT_FOR_EACH = 2.0  # seconds for every iModel, on top of what single exports are given


def add_imodels(cli_sandbox: CliSandbox, count: int) -> list[str]:
    """So many new iModels, small ones."""
    state = cli_sandbox.sandbox.state
    made = [state.add_imodel(SEEDED.itwin, f"{NAME} {n}", changesets=1, elements=4) for n in range(count)]
    return [imodel.id for imodel in made]


def start_night(cli_sandbox: CliSandbox, *arguments: str) -> Command:
    """Start the batch of these iModels; with so many at once, the pauses of single exports would be a storm."""
    asked = ["itwin", SEEDED.itwin, "--name-contains", NAME, "--max-active", "40", *arguments]
    return cli_sandbox.launch(*asked, ITWIN_POLL_SECONDS="1", ITWIN_POLL_MAX_SECONDS="5")


def report_of(night: Command, count: int) -> BatchReport:
    """What a batch of so many reports that ends well."""
    ended = night.ended(timeout_for(count))
    assert ended.exit_code == 0, ended.stderr
    return BatchReport.model_validate_json(ended.stdout)


def timeout_for(count: int) -> float:
    """Seconds until a batch of so many counts as stuck."""
    return LONGEST_WAIT + count * TIMEOUT_FOR_EACH


def kill_in_the_middle(cli_sandbox: CliSandbox, count: int) -> None:
    """A batch dies when half of its runs have been started; the same command finishes it without a second run."""
    imodel_ids = add_imodels(cli_sandbox, count)
    cli_sandbox.sandbox.state.options.run_seconds = 5
    command = start_night(cli_sandbox)
    until(lambda: len(cli_sandbox.runs) >= count // 2, "half of the runs", timeout_for(count))
    command.kill()
    report = report_of(start_night(cli_sandbox), count)
    assert (report.exported + report.skipped, report.failed) == (count, 0)
    assert [len(cli_sandbox.sandbox.state.runs_of(imodel_id)) for imodel_id in imodel_ids] == [1] * count
