"""A batch of 200 whose process is killed, and one with all kinds of broken iModels; part of `make crash`."""

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.entities import Outcome
from tests.processes.batch_runs import add_imodels, kill_in_the_middle, report_of, start_night
from tests.processes.commands import CliSandbox

pytestmark = pytest.mark.crash

COUNT = 200


@pytest.mark.timeout(1200)
def test_a_killed_batch_of_200_is_taken_up_again(cli_sandbox: CliSandbox) -> None:
    """After a SIGKILL in the middle the same command exports the rest, and no iModel twice."""
    kill_in_the_middle(cli_sandbox, COUNT)


@pytest.mark.timeout(1200)
def test_three_percent_of_broken_imodels_stop_no_other(cli_sandbox: CliSandbox) -> None:
    """Of 200 iModels six are broken, each in another way: the others are delivered, and the report names each cause."""
    state = cli_sandbox.sandbox.state
    forbidden, absent, failed, corrupt, canceled, timed_out = add_imodels(cli_sandbox, COUNT)[:6]
    state.faults.add(
        Fault(path=f"/imodels/{forbidden}/changesets", status=403, code="InsufficientPermissions", count=None)
    )
    state.faults.add(Fault(path=f"/imodels/{absent}/changesets", status=404, code="iModelNotFound", count=None))
    state.script_always(failed, Outcome(task_result="Error"))
    state.script_always(corrupt, Outcome(content=b"<html>"))
    state.script_always(canceled, Outcome(result="Canceled"))
    state.script_always(timed_out, Outcome(result="TimedOut"))
    report = report_of(start_night(cli_sandbox, "--fail-when", "never"), COUNT)
    assert (report.exported, report.failed) == (COUNT - 6, 6)
    said = {failure.imodel_id: failure.error for failure in report.failures}
    assert "InsufficientPermissions" in said[forbidden]
    assert "iModelNotFound" in said[absent]
    assert "TAE_BRW_1000" in said[failed]
    assert "is not an IFC file" in said[corrupt]
    assert "cancel" in said[canceled].lower()
    assert "time" in said[timed_out].lower()
