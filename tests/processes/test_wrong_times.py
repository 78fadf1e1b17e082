"""A whole export at a platform that once tells a wrong time."""

from deployments.sandbox.faults.faults import Fault
from tests.processes.commands import CliSandbox

IN_2099 = {"Date": "Thu, 01 Jan 2099 00:00:00 GMT"}


def test_an_export_with_one_answer_from_2099(cli_sandbox: CliSandbox) -> None:
    """One answer dated 2099 just before the request for a run: exit code 0, and the run of a lost answer is found."""
    faults = cli_sandbox.sandbox.state.faults
    dated = faults.add(Fault(path="/connections/[^/]+/runs$", method="GET", headers=IN_2099))
    lost = faults.add(Fault(path="/runs$", method="POST", cut="after"))
    report = cli_sandbox.export()
    assert (dated.hits, lost.hits) == (1, 1)
    cli_sandbox.assert_right(report)
