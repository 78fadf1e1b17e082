"""A batch of 200 whose process is killed, and one with all kinds of broken iModels; part of `make crash`."""

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.entities import Outcome
from tests.processes.batch_runs import add_imodels, kill_in_the_middle, report_of, start_night
from tests.processes.commands import CliSandbox

pytestmark = pytest.mark.crash

COUNT = 200


@pytest.mark.timeout(1200)
def test_a_killed_batch_of_200_is_taken_up_again(place: CliSandbox) -> None:
    """After a SIGKILL in the middle the same command exports the rest, and no iModel twice."""
    kill_in_the_middle(place, COUNT)


@pytest.mark.timeout(1200)
def test_three_percent_of_broken_imodels_stop_no_other(place: CliSandbox) -> None:
    """Of 200 iModels six are broken, each in another way: the others are delivered, and the report names each cause."""
    world = place.sandbox.world
    forbidden, absent, failed, corrupt, canceled, timed_out = add_imodels(place, COUNT)[:6]
    world.faults.add(
        Fault(path=f"/imodels/{forbidden}/changesets", status=403, code="InsufficientPermissions", count=None)
    )
    world.faults.add(Fault(path=f"/imodels/{absent}/changesets", status=404, code="iModelNotFound", count=None))
    world.script_always(failed, Outcome(task_result="Error"))
    world.script_always(corrupt, Outcome(content=b"<html>"))
    world.script_always(canceled, Outcome(result="Canceled"))
    world.script_always(timed_out, Outcome(result="TimedOut"))
    report = report_of(start_night(place, "--fail-when", "never"), COUNT)
    assert (report.exported, report.failed) == (COUNT - 6, 6)
    said = {failure.imodel_id: failure.error for failure in report.failures}
    assert "InsufficientPermissions" in said[forbidden]
    assert "iModelNotFound" in said[absent]
    assert "TAE_BRW_1000" in said[failed]
    assert "is not an IFC file" in said[corrupt]
    assert "cancel" in said[canceled].lower()
    assert "time" in said[timed_out].lower()
