"""Long downloads of tilesets: `make campaign`. The short ones are in `test_export_mesh`."""

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_mesh import export_mesh
from tests.flows.tilesets import TILE, blobs_of, files_in, tileset_of

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]

LINK_SECONDS, MINUTE = 5, 60


async def test_a_minute_of_links_that_live_five_seconds(sandbox: RunningSandbox) -> None:
    """A download of a minute with links of five seconds ends with every byte right and no tile fetched twice."""
    sandbox.state.imodels[SEEDED.stadium].tiles = 2000
    sandbox.state.options.mesh_link_seconds = LINK_SECONDS
    sandbox.state.faults.add(Fault(path=TILE, count=None, delay=2.0))
    report = await export_mesh(SEEDED.stadium)
    log = sandbox.state.log
    links = sum(entry.path.startswith("/mesh-export") and entry.method == "GET" for entry in log)
    delivered = [entry.path for entry in log if entry.path.endswith(".glb") and entry.status == 200]
    assert links > MINUTE / LINK_SECONDS
    assert any(entry.status == 403 for entry in log)
    assert len(delivered) == len(set(delivered))
    assert files_in(tileset_of(report)) == blobs_of(sandbox, report)


async def test_every_twentieth_body_is_cut(sandbox: RunningSandbox) -> None:
    """Of 2000 tiles one body in twenty is cut midway: nothing short is accepted."""
    sandbox.state.imodels[SEEDED.stadium].tiles = 2000
    for nth in range(10, 2000, 20):
        sandbox.state.faults.add(Fault(path=TILE, nth=nth, cut="midway"))
    report = await export_mesh(SEEDED.stadium)
    assert all(fault.hits == 1 for fault in sandbox.state.faults.ordered)
    assert files_in(tileset_of(report)) == blobs_of(sandbox, report)
