"""Never two mesh exports for one order, however a request is delayed or its answer lost."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import TransientError
from blocks.itwin.mesh_models import MeshExport, MeshStatus
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.meshes import MeshExport as SandboxExport
from deployments.sandbox.state.seed import SEEDED
from tasks.mesh.finder import MeshSearch
from tasks.mesh.options import MeshPolicy, MeshRequest, MeshSpec, Start
from tasks.polling import PollBackoff
from tests.blocks.itwin.platform import Platform
from tests.tasks.run_specs import LOG, until

ASK: dict[str, Any] = {"path": "/mesh-export", "method": "POST"}


@pytest.fixture(autouse=True)
async def _time_passes(platform: Platform) -> AsyncGenerator[None]:
    async def tick() -> None:
        while True:
            await platform.sleep(1)
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    yield
    ticking.cancel()


def search_for(platform: Platform, folder: Path, start: Start) -> MeshSearch:
    """A search for tiles of the latest changeset, which the platform does not make by itself."""
    platform.state.options.mesh_generation = "manual"
    spec = MeshSpec(
        request=MeshRequest(
            imodel_id=SEEDED.plant, output_dir=folder, policy=MeshPolicy(timeout=timedelta(hours=1), start=start)
        ),
        changeset_id=platform.state.imodels[SEEDED.plant].changesets[-1].id,
        first_started=platform.state.clock.now(),
    )
    return MeshSearch(platform.itwin, spec, PollBackoff(0.01, 0.01), LOG)


def tiles_elsewhere(platform: Platform) -> SandboxExport:
    """Somebody else has the same tiles made."""
    imodel = platform.state.imodels[SEEDED.plant]
    return platform.state.meshes.start(imodel, imodel.changesets[-1].id, imodel.changesets[-1].index, "3DTiles")


def asked_for(platform: Platform) -> int:
    return platform.count("POST", "/mesh-export")


def made(platform: Platform) -> list[str]:
    return [export.id for export in platform.state.meshes.of(SEEDED.plant)]


@pytest.mark.parametrize("start", ["if-missing", "always"])
async def test_a_lost_answer(platform: Platform, tmp_path: Path, start: Start) -> None:
    """Asked again after its answer was lost, the search finds the tiles that are being made."""
    search = search_for(platform, tmp_path, start)
    platform.state.faults.add(Fault(**ASK, status=502, effect=True))
    with pytest.raises(TransientError):
        await search.ensure()
    await search.ensure()
    assert (len(made(platform)), asked_for(platform)) == (1, 1)


async def test_what_was_there_before_is_made_anew(platform: Platform, tmp_path: Path) -> None:
    """With `always`, tiles from before the order do not count, and only the new ones will do."""
    platform.state.meshes.script(SEEDED.plant, "Invalid")
    old = tiles_elsewhere(platform)
    await platform.sleep(600)
    asked = await search_for(platform, tmp_path, "always").ensure()
    (new,) = set(made(platform)) - {old.id}
    assert asked.export_id == new


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (0, True), (1, True)])
async def test_whole_seconds(platform: Platform, tmp_path: Path, seconds: int, *, counts: bool) -> None:
    """The platform dates in whole seconds: what is dated in the second of the order was made since."""
    search = search_for(platform, tmp_path, "always")
    moment = search.spec.first_started.replace(microsecond=0)
    spec = search.spec.model_copy(update={"first_started": moment + timedelta(seconds=0.7)})
    export = MeshExport(id="1", status=MeshStatus.COMPLETE, last_modified=moment + timedelta(seconds=seconds))
    assert replace(search, spec=spec).serves(export) == counts


@pytest.mark.parametrize("start", ["if-missing", "always"])
async def test_tiles_that_turn_up_while_the_request_waits(platform: Platform, tmp_path: Path, start: Start) -> None:
    """A request that had to wait for the rate limit is not sent when there are tiles by then."""
    search = replace(search_for(platform, tmp_path, start), fresh_seconds=0.5)
    refused = platform.state.faults.add(Fault(**ASK, status=429, retry_after=1))
    asking = asyncio.create_task(search.ensure())
    await until(lambda: refused.hits > 0)
    theirs = tiles_elsewhere(platform)
    asked = await asking
    assert (made(platform), asked_for(platform)) == ([theirs.id], refused.hits)
    assert asked.export_id == (theirs.id if start == "always" else None)


async def test_requests_that_always_wait(platform: Platform, tmp_path: Path) -> None:
    """Where every request waits longer than a look holds good, the third look has to do."""
    search = replace(search_for(platform, tmp_path, "always"), fresh_seconds=-1.0)
    await search.ensure()
    assert len(made(platform)) == 1
