"""Exports at a platform that once tells a wrong time."""

import os
import time
from pathlib import Path

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.state_dir import KEPT_FOR, StateDir

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

DATES = ["Thu, 01 Jan 2099 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]
BEFORE, ASKING, WAITING = "/imodels/[^/]+/changesets", "/connections/[^/]+/runs$", "/runs/."


@pytest.mark.parametrize("path", [BEFORE, ASKING, WAITING])
@pytest.mark.parametrize("date", DATES)
async def test_one_wrong_date_costs_no_second_run(
    sandbox: RunningSandbox, tmp_path: Path, path: str, date: str
) -> None:
    """With one answer of a wrong Date the run whose answer was lost is found again, and nothing recent is removed."""
    kept = StateDir.of_imodel(tmp_path / "exports", SEEDED.plant).root / "kept"
    kept.mkdir(parents=True)
    almost_old = time.time() - KEPT_FOR.total_seconds() + 3600
    os.utime(kept, (almost_old, almost_old))
    dated = sandbox.state.faults.add(Fault(path=path, method="GET", headers={"Date": date}))
    lost = sandbox.state.faults.add(Fault(path="/runs$", method="POST", cut="after"))
    report = await export_ifc(SEEDED.plant)
    assert (dated.hits, lost.hits) == (1, 1)
    assert [run.id for run in sandbox.state.runs] == [report.run_id]
    assert kept.is_dir()
