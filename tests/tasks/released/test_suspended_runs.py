"""When a suspended flow run is looked at, and what ends its wait."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.states import Suspended

from blocks.itwin.api.mesh_listing_cache import MeshListingCache
from blocks.itwin.mesh_models import MeshExport
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.seed import SEEDED
from tasks.released.suspended_runs import SuspendedRun, ended_among
from tasks.released.wait import ReleasedWait, released_wait_of
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import LOG

SINCE = datetime(2026, 1, 31, 3, 0, tzinfo=UTC)
WAIT = ReleasedWait(
    format="mesh",
    imodel_id="5a0a1e27-1118-56f1-9ecc-d3d2572fb00b",
    changeset_id="a" * 40,
    since=SINCE,
    deadline=SINCE + timedelta(hours=4),
)


def suspended(wait: ReleasedWait = WAIT) -> SuspendedRun:
    return SuspendedRun(uuid4(), "mesh-plant", "default", "3DTiles", wait)


def at(minutes: float) -> datetime:
    return SINCE + timedelta(minutes=minutes)


def test_the_key_of_a_state_says_what_is_waited_for() -> None:
    """The wait is read back from the key; each key is new; a key of somebody else says nothing."""
    assert released_wait_of(Suspended(pause_key=WAIT.key)) == WAIT
    assert WAIT.key != WAIT.key
    for key in ("1", "itwin-export:", "itwin-export:x:{}", f"consent:{WAIT.model_dump_json()}"):
        assert released_wait_of(Suspended(pause_key=key)) is None
    assert released_wait_of(None) is None


@pytest.mark.parametrize(
    ("last_look", "now", "is_due"),
    [
        (None, 90, True),
        (8, 9, True),
        (60, 61, False),
        (60, 66.5, True),
        (200, 201, False),
        (200, 239, True),
        (239, 240, True),
    ],
)
def test_a_remote_run_is_looked_at_when_it_is_a_tenth_older(
    last_look: float | None, now: float, *, is_due: bool
) -> None:
    """Each minute in its first ten, then each time that it is a tenth older, and at its deadline of four hours."""
    assert suspended().is_due(None if last_look is None else at(last_look), at(now)) is is_due


def export(status: str, *, number: str = "1", changeset_id: str = "A" * 40, kind: str = "3DTILES") -> MeshExport:
    request = {"iModelId": WAIT.imodel_id, "changesetId": changeset_id, "exportType": kind}
    return MeshExport.model_validate({"id": number, "status": status, "request": request})


@pytest.mark.parametrize(
    ("exports", "is_served"),
    [
        ([], False),
        ([export("InProgress")], False),
        ([export("Complete")], True),
        ([export("Invalid")], True),
        ([export("Invalid"), export("InProgress", number="2")], False),
        ([export("Complete", changeset_id="b" * 40)], False),
        ([export("Complete", kind="IMODEL")], False),
    ],
)
def test_tiles_end_a_wait(exports: list[MeshExport], *, is_served: bool) -> None:
    """Complete tiles of the changeset and type end it, and so does the end of all hope for them."""
    assert suspended().is_served_by(exports) is is_served


def test_only_the_tiles_that_were_asked_for_end_a_wait() -> None:
    """With start=always older tiles of the same changeset do not count."""
    asked = suspended(WAIT.model_copy(update={"export_id": "2"}))
    assert not asked.is_served_by([export("Complete"), export("InProgress", number="2")])
    assert asked.is_served_by([export("Complete", number="2")])


async def many_meshes(platform: Platform, count: int) -> list[SuspendedRun]:
    """Flow runs that wait for the tiles of an iModel each, which the platform is making."""
    waiting = list[SuspendedRun]()
    for number in range(count):
        imodel = platform.state.add_imodel(SEEDED.itwin, f"Tiled {number}", changesets=1, elements=4, tiles=1)
        [export async for export in platform.itwin.meshes.list_exports(imodel.id)]  # makes the platform begin
        asked = {"imodel_id": imodel.id, "changeset_id": imodel.changesets[-1].id}
        times = {"since": MOMENT, "deadline": MOMENT + timedelta(hours=1)}
        waiting.append(suspended(WAIT.model_copy(update=asked | times)))
    return waiting


async def test_one_list_tells_of_many_tilesets(platform: Platform) -> None:
    """Twenty flow runs whose tiles are being made cost one request, and one more finds all twenty complete."""
    platform.state.options.mesh_seconds = 30
    waiting = await many_meshes(platform, 20)
    before = platform.count("GET", "/mesh-export")
    assert await ended_among(platform.itwin, waiting, LOG) == []
    await platform.sleep(30)
    ended = await ended_among(
        replace(platform.itwin, mesh_listings=MeshListingCache(platform.itwin.meshes)), waiting, LOG
    )
    assert ended == waiting
    assert platform.count("GET", "/mesh-export") - before == 2


async def test_a_read_that_fails_for_now_is_left_to_the_next_look(platform: Platform) -> None:
    """A flow run goes on when its export run is gone, and is left alone when the platform does not answer."""
    asked = {"format": "ifc", "connection_id": "c", "export_id": "r", "since": MOMENT}
    waiting = [suspended(WAIT.model_copy(update=asked | {"deadline": MOMENT + timedelta(hours=1)}))]
    fault = platform.state.faults.add(Fault(path="/runs/r", status=503))
    assert await ended_among(platform.itwin, waiting, LOG) == []
    assert fault.hits
    platform.state.faults.add(Fault(path="/runs/r", status=404, code="RunNotFound"))
    assert await ended_among(platform.itwin, waiting, LOG) == waiting
