"""Batches of real size, in real processes."""

from deployments.sandbox.seed import SEEDED
from tasks.reports import BatchReport
from tests.processes.commands import Command, Ended, Place, until

NAME = "Night"


def add_imodels(place: Place, count: int) -> list[str]:
    """So many new iModels, small ones."""
    world = place.sandbox.world
    made = [world.add_imodel(SEEDED.itwin, f"{NAME} {n}", changesets=1, elements=4) for n in range(count)]
    return [imodel.id for imodel in made]


def start_night(place: Place, *arguments: str) -> Command:
    """Start the batch of these iModels."""
    return place.launch("itwin", SEEDED.itwin, "--name-contains", NAME, "--max-active", "40", *arguments)


def report_of(ended: Ended) -> BatchReport:
    """What a batch that ended well reports."""
    assert ended.exit_code == 0, ended.stderr
    return BatchReport.model_validate_json(ended.stdout)


def kill_in_the_middle(place: Place, count: int) -> None:
    """A batch dies when half of its runs have been started; the same command finishes it without a second run."""
    imodel_ids = add_imodels(place, count)
    place.sandbox.world.options.run_seconds = 5
    command = start_night(place)
    until(lambda: len(place.runs) >= count // 2, "half of the runs")
    command.kill()
    report = report_of(start_night(place).ended())
    assert (report.exported + report.skipped, report.failed) == (count, 0)
    assert [len(place.sandbox.world.runs_of(imodel_id)) for imodel_id in imodel_ids] == [1] * count
