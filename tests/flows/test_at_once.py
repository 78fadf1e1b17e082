"""The same export asked for twice at the same time: one run at the platform, the same files for both."""

import asyncio
from typing import Any

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.ifc.publish import publish
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

LAGS = [0, 0.02, 0.1, 0.3, 0.8]


async def two_exports(lag: float) -> tuple[ExportReport, ExportReport]:
    """Start one export, and the same again so many seconds later."""

    async def second() -> ExportReport:
        await asyncio.sleep(lag)
        return await export_ifc(SEEDED.plant)

    return await asyncio.gather(export_ifc(SEEDED.plant), second())


def assert_one_run(sandbox: RunningSandbox, reports: tuple[ExportReport, ExportReport]) -> None:
    (run,) = sandbox.state.runs
    assert {report.run_id for report in reports} == {run.id}
    assert reports[0].files == reports[1].files
    assert sum(not (report.adopted or report.skipped) for report in reports) == 1


@pytest.mark.parametrize("lag", LAGS)
async def test_two_exports_at_once_make_one_run(sandbox: RunningSandbox, lag: float) -> None:
    """Two flow runs for one export end with the files of one run, or the second finds nothing to do."""
    assert_one_run(sandbox, await two_exports(lag))


async def test_what_one_export_fetched_is_left_to_it(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second export of the same run starts and ends while the first one checks its files; both succeed."""
    others: list[ExportReport] = []

    async def publish_after_another(*arguments: Any) -> ExportReport:
        monkeypatch.setattr("flows.export_ifc.publish", publish)
        others.append(await export_ifc(SEEDED.plant))
        return await publish(*arguments)

    monkeypatch.setattr("flows.export_ifc.publish", publish_after_another)
    first = await export_ifc(SEEDED.plant)
    (run,) = sandbox.state.runs
    assert [first.run_id, others[0].run_id] == [run.id, run.id]
    assert first.files == others[0].files


@pytest.mark.parametrize("lag", [0, 0.1])
async def test_two_first_exports_share_a_run_though_each_makes_a_connection(
    sandbox: RunningSandbox, lag: float
) -> None:
    """Where both look for the connection before either has made it, there is still one run."""
    sandbox.state.faults.add(Fault(path="/export/connections$", method="POST", delay=2, count=2))
    assert_one_run(sandbox, await two_exports(lag))
