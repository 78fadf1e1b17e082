"""Many searches for tiles that wait together cost few requests."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from blocks.errors import TransientError
from blocks.itwin.api.mesh_listing_cache import BULK_LIST_THRESHOLD
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.seed import SEEDED
from tasks.mesh.finder import MeshSearch
from tasks.mesh.options import MeshPolicy, MeshRequest, MeshSpec
from tasks.polling import PollBackoff
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import LOG

WAITING = 40


def search_for(platform: Platform, folder: Path, number: int) -> MeshSearch:
    """A search for the tiles of a new iModel."""
    imodel = platform.state.add_imodel(SEEDED.itwin, f"Tiled {number}", changesets=1, elements=4, tiles=1)
    spec = MeshSpec(
        request=MeshRequest(
            imodel_id=imodel.id, output_dir=folder, policy=MeshPolicy(timeout=timedelta(hours=1), start="never")
        ),
        changeset_id=imodel.changesets[-1].id,
        first_started=MOMENT,
    )
    return MeshSearch(platform.itwin, spec, PollBackoff(0.01, 0.01), LOG)


def lists(platform: Platform) -> list[str]:
    """Queries of the lists that the platform was asked for."""
    return [entry.query for entry in platform.state.log if entry.path.rstrip("/") == "/mesh-export"]


async def test_one_list_serves_all_that_wait(platform: Platform, tmp_path: Path) -> None:
    """Once their exports have turned up, forty searches are told by one list what forty lists would say."""
    searches = [search_for(platform, tmp_path, number) for number in range(WAITING)]
    platform.state.options.mesh_seconds = 30
    waits = [asyncio.create_task(search.complete_within(timedelta.max)) for search in searches]
    while len(lists(platform)) < WAITING:  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    single = [query for query in lists(platform) if "iModelId" in query]
    assert len(lists(platform)) - len(single) >= 1
    assert len(single) <= 3 * WAITING
    await platform.sleep(30)
    found = [export for export in await asyncio.gather(*waits) if export]
    assert [export.request.imodel_id for export in found if export.request] == [
        search.spec.request.imodel_id for search in searches
    ]
    assert all(export.mesh_url for export in found)


async def test_few_are_looked_for_singly(platform: Platform) -> None:
    """The common list is not asked for when it would cost more than it saves."""
    with platform.itwin.mesh_listings.joined():
        assert await platform.itwin.mesh_listings.exports_of(SEEDED.plant, "3DTiles") == []
    assert lists(platform) == []


@pytest.mark.parametrize(("status", "is_transient"), [(503, True), (422, False), (403, False)])
async def test_a_platform_that_lists_no_all_is_asked_singly(
    platform: Platform, status: int, *, is_transient: bool
) -> None:
    """A refusal leaves the searches to themselves; a passing failure is one, not one for each of them."""
    platform.state.faults.add(Fault(path="/mesh-export", status=status))
    cache = platform.itwin.mesh_listings
    cache.waiting = BULK_LIST_THRESHOLD
    if is_transient:
        with pytest.raises(TransientError):
            await cache.exports_of(SEEDED.plant, "3DTiles")
        with pytest.raises(TransientError):
            await cache.exports_of(SEEDED.bridge, "3DTiles")
    else:
        assert await cache.exports_of(SEEDED.plant, "3DTiles") == []
        assert await cache.exports_of(SEEDED.bridge, "3DTiles") == []
    assert len(lists(platform)) == 1
