"""Another run holds the iModel: what an export does then, and what it says about its files."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blocks.errors import ActiveRunError
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.ifc.orphaned_runs import find_orphans
from tasks.reports import ExportReport
from tests.flows import foreign_runs
from tests.flows.foreign_runs import credentials
from tests.prefect_api import end_leftovers
from tests.tasks.run_specs import request_for

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


async def start_elsewhere(sandbox: RunningSandbox, *, name: str = "somebody else's") -> str:
    """Somebody starts a run of the oldest changeset, which does not end by itself; later runs are short."""
    sandbox.state.imodels[SEEDED.plant].run_seconds = 3600.0
    run_id = await foreign_runs.start_elsewhere(sandbox, SEEDED.plant, name=name)
    sandbox.state.imodels[SEEDED.plant].run_seconds = 1.0
    return run_id


@asynccontextmanager
async def ending_once_followed(sandbox: RunningSandbox) -> AsyncGenerator[None]:
    """The one run that there is ends when somebody has asked for it."""
    (theirs,) = sandbox.state.runs

    async def end() -> None:
        while not theirs.polls:  # noqa: ASYNC110  what is awaited has no event
            await asyncio.sleep(0.01)
        theirs.seconds = 0

    ending = asyncio.create_task(end())
    try:
        yield
    finally:
        ending.cancel()


def manifest_of(report: ExportReport) -> dict[str, object]:
    return json.loads((Path(report.output_dir) / SEEDED.plant / "ifc" / "manifest.json").read_text())


async def test_a_strangers_run_is_waited_for(sandbox: RunningSandbox) -> None:
    """With `wait` the other run ends first, then ours delivers what was asked."""
    theirs = await start_elsewhere(sandbox)
    async with ending_once_followed(sandbox):
        report = await export_ifc(SEEDED.plant)
    ours = [run.id for run in sandbox.state.runs if run.id != theirs]
    assert [report.run_id] == ours
    assert (report.adopted, manifest_of(report)["run_id"]) == (False, report.run_id)


async def test_a_strangers_run_is_adopted_openly(sandbox: RunningSandbox) -> None:
    """With `adopt` report and manifest name the other run, warn, and do not claim a changeset."""
    theirs = await start_elsewhere(sandbox)
    async with ending_once_followed(sandbox):
        report = await export_ifc(SEEDED.plant, on_active_run="adopt")
    assert (report.run_id, report.adopted, report.changeset_id) == (theirs, True, "")
    assert "another changeset or other options" in report.warnings[0]
    assert manifest_of(report).items() >= {"run_id": theirs, "adopted": True, "changeset_id": None}.items()
    assert len(list(sandbox.state.runs)) == 1


async def test_adopted_files_do_not_pass_for_the_export_asked_for(sandbox: RunningSandbox) -> None:
    """After an adoption the same export is not skipped: nobody knows what the other run exported."""
    await start_elsewhere(sandbox)
    async with ending_once_followed(sandbox):
        await export_ifc(SEEDED.plant, on_active_run="adopt")
    assert not (await export_ifc(SEEDED.plant)).skipped


async def test_a_strangers_run_fails_the_export_if_so_asked(sandbox: RunningSandbox) -> None:
    """With `fail` the error names the other run, and nothing is started."""
    theirs = await start_elsewhere(sandbox)
    with pytest.raises(ActiveRunError, match=theirs):
        await export_ifc(SEEDED.plant, on_active_run="fail")
    assert len(list(sandbox.state.runs)) == 1


async def test_an_older_run_on_our_own_connection_is_no_match(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A run by hand on our connection, of a changeset nobody noted, is not taken for ours."""
    request = request_for(tmp_path)
    theirs = await start_elsewhere(sandbox, name=request.connection_name)
    async with ending_once_followed(sandbox):
        report = await export_ifc(SEEDED.plant)
    assert report.run_id != theirs
    assert report.changeset_id == sandbox.state.imodels[SEEDED.plant].changesets[-1].id


async def waiting(sandbox: RunningSandbox) -> None:
    while not any(run.polls for run in sandbox.state.runs):  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.01)


@pytest.fixture
def _nobody_follows(prefect_server: str) -> None:
    end_leftovers(prefect_server)


@pytest.mark.usefixtures("_nobody_follows")
async def test_an_orphan_is_found_once_nobody_follows_it(sandbox: RunningSandbox) -> None:
    """A run is an orphan after its flow run was interrupted, and neither before nor after it was picked up again."""
    sandbox.state.imodels[SEEDED.plant].run_seconds = 4
    first = asyncio.create_task(export_ifc(SEEDED.plant))
    await waiting(sandbox)
    assert await find_orphans(credentials(), [SEEDED.plant]) == []
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    (orphan,) = await find_orphans(credentials(), [SEEDED.bridge, SEEDED.plant])
    (run,) = sandbox.state.runs
    assert (orphan.run_id, orphan.imodel_id, orphan.connection_id) == (run.id, SEEDED.plant, run.connection_id)
    await export_ifc(SEEDED.plant)
    assert await find_orphans(credentials(), [SEEDED.plant]) == []


@pytest.mark.usefixtures("_nobody_follows")
async def test_the_run_of_a_killed_process_becomes_an_orphan(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A flow run in the state Running follows an export run only if its process still sends heartbeats."""
    sandbox.state.imodels[SEEDED.plant].run_seconds = 4
    following = asyncio.create_task(export_ifc(SEEDED.plant))
    await waiting(sandbox)
    assert await find_orphans(credentials(), [SEEDED.plant]) == []
    for note in (tmp_path / "exports" / SEEDED.plant / ".itwin-export" / "followed").iterdir():
        os.utime(note, (0, 0))
    assert len(await find_orphans(credentials(), [SEEDED.plant])) == 1
    await following


async def test_a_strangers_run_is_no_orphan_of_ours(sandbox: RunningSandbox) -> None:
    """Runs on other people's connections are none of our business, nor are iModels we cannot see."""
    await start_elsewhere(sandbox)
    sandbox.state.denied.add(SEEDED.bridge)
    assert await find_orphans(credentials(), [SEEDED.plant, SEEDED.bridge]) == []
