"""The flow watch-imodels against the stand-in platform."""

import asyncio
import shutil
from pathlib import Path

import pytest
from prefect import flow, get_client
from prefect.events.filters import EventFilter, EventNameFilter

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.watch_imodels import watch_imodels
from tasks.imodel_events import CHANGED, FoundChange, find_changed
from tasks.load_blocks import load_credentials
from tasks.output_options import OutputOptions
from tests.flows.test_destinations import saved
from tests.object_stores.destinations import of_xml_store
from tests.object_stores.xml_store import XmlStore

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


async def announced() -> list[str]:
    """The changesets announced so far."""
    wanted = EventFilter(event=EventNameFilter(name=[CHANGED]))
    async with get_client() as client:
        page = await client.read_events(wanted, limit=50)
    return [str(event.payload["changeset_id"]) for event in page.events]


async def test_only_what_has_changed_is_found(sandbox: RunningSandbox) -> None:
    """An iModel that is exported is left alone until something is pushed to it; a subset watches nothing else."""
    await export_ifc(SEEDED.plant)
    watched = [SEEDED.plant, SEEDED.bridge]
    assert await watch_imodels(SEEDED.itwin, imodel_ids=watched) == [SEEDED.bridge]
    sandbox.state.push_changeset(SEEDED.plant)
    assert await watch_imodels(SEEDED.itwin, imodel_ids=watched) == sorted(watched)


async def test_a_changeset_is_announced_once(sandbox: RunningSandbox) -> None:
    """However often it is looked at, an unexported changeset makes one event."""
    pushed = sandbox.state.push_changeset(SEEDED.stadium)
    for _ in range(3):
        await watch_imodels(SEEDED.itwin, imodel_ids=[SEEDED.stadium])
    async with asyncio.timeout(30):
        while pushed.id not in (heard := await announced()):  # noqa: ASYNC110  the server stores events in batches
            await asyncio.sleep(0.5)
    assert heard.count(pushed.id) == 1


async def test_old_imodels_cost_one_request(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """An iModel last pushed to long before its export is told from the list alone."""
    await export_ifc(SEEDED.bridge)
    sandbox.state.log.clear()
    await watch_imodels(SEEDED.itwin, imodel_ids=[SEEDED.bridge], output_dir=str(tmp_path / "exports"))
    paths = [entry.path for entry in sandbox.state.log if entry.path.startswith("/imodels")]
    assert paths == ["/imodels"]


async def test_exports_in_a_store_are_compared(
    s3_store: XmlStore, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is published in an object store is left alone until something is pushed to it; no folder is looked at."""
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", "/proc/nowhere")
    name = await saved(of_xml_store(s3_store))
    await export_ifc(SEEDED.plant, destination=name)
    shutil.rmtree(tmp_path / "work")
    watched = [SEEDED.plant, SEEDED.bridge]
    assert await watch_imodels(SEEDED.itwin, imodel_ids=watched, destination=name) == [SEEDED.bridge]
    sandbox.state.push_changeset(SEEDED.plant)
    assert await watch_imodels(SEEDED.itwin, imodel_ids=watched, destination=name) == sorted(watched)


@flow
async def find_versions() -> list[FoundChange]:
    """The named versions of the plant that are to be exported."""
    return await find_changed(
        await load_credentials("default"),
        SEEDED.itwin,
        [SEEDED.plant],
        OutputOptions.check(output_dir=None),
        watch="named-versions",
    )


async def test_versions_named_since_the_last_export_are_found(sandbox: RunningSandbox) -> None:
    """Watching named versions finds the newest one first, then those named since; hidden ones are left out."""
    state = sandbox.state

    async def versions() -> list[str]:
        return await watch_imodels("campus", imodel_ids=["Plant A"], watch="named-versions")

    newest = state.imodels[SEEDED.plant].named_versions[-1]
    assert await versions() == [SEEDED.plant]
    await export_ifc(SEEDED.plant, named_version=newest.id)
    since = len(state.log)
    assert await versions() == []
    asked = [entry.path for entry in list(state.log)[since:] if not entry.path.startswith("/connect")]
    assert asked == ["/itwins", "/imodels", f"/imodels/{SEEDED.plant}/namedversions"]
    state.push_changeset(SEEDED.plant)
    assert await versions() == []
    state.clock.advance(60)
    named = [state.name_version(SEEDED.plant, name, index=2) for name in ("One", "Two", "Hidden")]
    named[2].state = "hidden"
    found = await find_versions()
    assert [change.named_version for change in found] == [named[0].id, named[1].id]
    assert {change.changeset_id for change in found} == {named[0].changeset_id}
