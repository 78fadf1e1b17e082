"""Options of the list of mesh exports: a content delivery network, and the version of IMODEL tiles."""

from urllib.parse import parse_qs

import pytest

from blocks.errors import InputError
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_mesh import export_mesh

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


def asked(sandbox: RunningSandbox, name: str) -> set[str]:
    """The values of a query parameter in the requests for the list of mesh exports."""
    queries = [parse_qs(entry.query) for entry in sandbox.state.log if entry.path.startswith("/mesh-export")]
    assert queries
    return {query.get(name, [""])[0] for query in queries}


async def test_tiles_come_from_a_network_that_does_not_list_them(sandbox: RunningSandbox) -> None:
    """With cdn every link is asked for there; the tiles are the same ones, so without it they are skipped."""
    first = await export_mesh(SEEDED.bridge, cdn=True)
    assert (asked(sandbox, "cdn"), first.tile_count > 0) == ({"1"}, True)
    assert not [entry for entry in sandbox.state.log if "comp=list" in entry.query and entry.status == 200]
    assert (await export_mesh(SEEDED.bridge)).skipped


async def test_the_version_of_imodel_tiles_is_passed_on(sandbox: RunningSandbox) -> None:
    """Only compatible exports are asked for, and tiles of another version are another export."""
    first = await export_mesh(SEEDED.bridge, export_type="IMODEL", tile_version="1.1")
    assert asked(sandbox, "tileVersion") == {"1.1"}
    assert not first.skipped
    assert (await export_mesh(SEEDED.bridge, export_type="IMODEL", tile_version=" 1.1 ")).skipped
    assert not (await export_mesh(SEEDED.bridge, export_type="IMODEL")).skipped


async def test_a_version_for_other_tiles_is_refused() -> None:
    """3D Tiles have no such version; the sentence names the parameter and what to do."""
    with pytest.raises(InputError, match=r"tile_version is for tiles of export_type=IMODEL only, not 3DTiles. Leave"):
        await export_mesh(SEEDED.bridge, tile_version="1.1")
