"""The flow export-mesh against the stand-in platform."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import (
    ContentError,
    ExportTimeoutError,
    NotAuthorizedError,
    NotFoundError,
    RunFailedError,
)
from blocks.storage.content.difference import Files, TilesetDifference
from blocks.storage.content.models import ExportContent
from blocks.storage.manifest import read_manifest
from blocks.storage.tileset.verify import verify_tileset
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.meshes import MeshExport
from deployments.sandbox.state.seed import SEEDED
from flows.export_mesh import export_mesh
from tests.flows.tilesets import TILE, blobs_of, files_in, tileset_of

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def _quick_tiles(sandbox: RunningSandbox) -> None:
    """Tiles that take a moment."""
    sandbox.state.options.mesh_seconds = 0.3


def requests_for_tiles(sandbox: RunningSandbox) -> int:
    return sum(entry.path.endswith(".glb") and entry.method == "GET" for entry in sandbox.state.log)


def asked_for(sandbox: RunningSandbox) -> int:
    return sum(entry.method == "POST" and entry.path.startswith("/mesh-export") for entry in sandbox.state.log)


def make_complete(sandbox: RunningSandbox) -> MeshExport:
    """Tiles of the latest changeset that are there already."""
    sandbox.state.meshes.ensure_latest(sandbox.state.imodels[SEEDED.plant])
    (export,) = sandbox.state.meshes.of(SEEDED.plant)
    export.seconds = 0
    return export


async def test_a_whole_tileset_of_the_latest_changeset_arrives(sandbox: RunningSandbox) -> None:
    """What is published is byte for byte what the platform made of the latest changeset."""
    report = await export_mesh(SEEDED.plant)
    published = files_in(tileset_of(report))
    assert report.changeset_id == sandbox.state.imodels[SEEDED.plant].changesets[-1].id
    assert published == blobs_of(sandbox, report)
    assert report.tile_count == sum(name.endswith(".glb") for name in published) == 65
    assert report.total_bytes == sum(map(len, published.values()))


async def test_the_manifest_lists_every_file(sandbox: RunningSandbox) -> None:
    """The manifest names export, changeset, type and each file with its size."""
    report = await export_mesh(SEEDED.plant)
    manifest = json.loads((tileset_of(report) / "manifest.json").read_text())
    assert (manifest["run_id"], manifest["changeset_id"]) == (report.run_id, report.changeset_id)
    assert manifest["options"] == {"export_type": "3DTiles"}
    sizes = {name: len(content) for name, content in blobs_of(sandbox, report).items()}
    assert {file["path"]: file["size"] for file in manifest["files"] if file["role"] != "content"} == sizes


async def test_the_content_report_lies_beside_the_tileset() -> None:
    """`content.json` describes the published tileset and is replaced together with its tiles."""
    first = await export_mesh(SEEDED.plant)
    for report in (first, await export_mesh(SEEDED.plant, force=True)):
        content = ExportContent.model_validate_json((tileset_of(report) / "content.json").read_bytes())
        assert content.tileset
        assert content.tileset.tiles == report.tile_count
        assert report.content == content.summary()
    assert not list(tileset_of(first).parent.glob("mesh.kept*"))
    assert (await export_mesh(SEEDED.plant)).skipped


async def test_the_difference_to_the_tileset_before_is_told(sandbox: RunningSandbox) -> None:
    """Files that were added, changed, are gone and are the same are counted with their bytes."""
    first = await export_mesh(SEEDED.plant)
    before = files_in(tileset_of(first))
    assert first.difference is None
    sandbox.state.push_changeset(SEEDED.plant)
    report = await export_mesh(SEEDED.plant)
    now = files_in(tileset_of(report))
    kept = [len(now[name]) for name in now if before.get(name) == now[name]]
    changed = [len(now[name]) for name in now.keys() & before.keys() if before[name] != now[name]]
    assert isinstance(report.difference, TilesetDifference)
    assert report.difference.kept == Files(files=len(kept), size=sum(kept))
    assert report.difference.changed == Files(files=len(changed), size=sum(changed))
    assert report.difference.added.files == len(now.keys() - before.keys())
    assert report.difference.gone.files == len(before.keys() - now.keys())


async def test_tiles_that_make_themselves_are_not_asked_for(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the platform makes tiles by itself, nobody asks for them."""
    monkeypatch.setenv("ITWIN_POLL_SECONDS", "1")  # six of these are what they get before they are asked for
    await export_mesh(SEEDED.plant)
    assert asked_for(sandbox) == 0


async def test_tiles_that_do_not_turn_up_are_asked_for_once(sandbox: RunningSandbox) -> None:
    """Where no tiles turn up, as of an old changeset, they are asked for, once."""
    old = sandbox.state.imodels[SEEDED.plant].changesets[1]
    report = await export_mesh(SEEDED.plant, changeset_id=str(old.index))
    assert report.changeset_id == old.id
    assert asked_for(sandbox) == 1


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_a_platform_that_takes_no_requests_is_waited_for(sandbox: RunningSandbox, status: int) -> None:
    """Where tiles cannot be asked for, the automatic ones are waited for, and the report says so."""
    sandbox.state.meshes.listings[SEEDED.plant] = 0
    sandbox.state.options.mesh_generation = "manual"
    sandbox.state.faults.add(Fault(path="/mesh-export", method="POST", status=status, body="<html>", effect=True))
    report = await export_mesh(SEEDED.plant)
    assert "takes no requests for tiles" in report.warnings[0]
    assert report.tile_count == 65


async def test_an_export_that_only_waits_asks_for_nothing(sandbox: RunningSandbox) -> None:
    """With start=never nothing is asked for, and the deadline says what could be done."""
    sandbox.state.options.mesh_generation = "manual"
    with pytest.raises(ExportTimeoutError, match=r"no mesh export turned up.*start=if-missing"):
        await export_mesh(SEEDED.plant, start="never", timeout_minutes=0.01)
    assert asked_for(sandbox) == 0


async def test_a_service_that_warms_up_is_waited_for(sandbox: RunningSandbox) -> None:
    """Lists that answer 202 are asked for again."""
    sandbox.state.options.warm_up_listings = 2
    assert (await export_mesh(SEEDED.plant)).result == "Complete"


async def test_an_invalid_export_is_an_error_at_once(sandbox: RunningSandbox) -> None:
    """Tiles the platform could not make end the export instead of being waited for."""
    sandbox.state.meshes.script(SEEDED.plant, "Invalid")
    with pytest.raises(RunFailedError, match=r"is Invalid.*start=always"):
        await export_mesh(SEEDED.plant)


async def test_an_invalid_export_can_be_started_anew(sandbox: RunningSandbox) -> None:
    """With start=always invalid tiles are made anew."""
    sandbox.state.meshes.script(SEEDED.plant, "Invalid")
    with pytest.raises(RunFailedError):
        await export_mesh(SEEDED.plant)
    assert (await export_mesh(SEEDED.plant, start="always")).result == "Complete"


async def test_a_complete_export_wins_over_an_invalid_one(sandbox: RunningSandbox) -> None:
    """Among several exports of a changeset the complete one is used."""
    complete = make_complete(sandbox)
    sandbox.state.meshes.script(SEEDED.plant, "Invalid")
    imodel = sandbox.state.imodels[SEEDED.plant]
    sandbox.state.meshes.start(imodel, complete.changeset_id, complete.changeset_index, "3DTiles").seconds = 0
    assert (await export_mesh(SEEDED.plant)).run_id == complete.id


async def test_types_are_matched_in_any_case(sandbox: RunningSandbox) -> None:
    """An answer that spells the type 3DTILES is the 3DTiles that was asked for."""
    sandbox.state.options.mesh_export_type = "3DTILES"
    assert (await export_mesh(SEEDED.plant)).result == "Complete"


async def test_an_identical_tileset_is_skipped(sandbox: RunningSandbox) -> None:
    """A second export of the same changeset fetches nothing and looks at no mesh export."""
    first = await export_mesh(SEEDED.plant)
    fetched = requests_for_tiles(sandbox)
    second = await export_mesh(SEEDED.plant)
    assert second.skipped
    assert (second.tile_count, second.files) == (first.tile_count, first.files)
    assert requests_for_tiles(sandbox) == fetched


async def test_a_damaged_tile_alone_is_fetched_again(sandbox: RunningSandbox) -> None:
    """A tileset with a damaged tile is exported anew, and only that tile travels."""
    report = await export_mesh(SEEDED.plant)
    (tileset_of(report) / "tiles/0/12.glb").write_bytes(b"damaged")
    fetched = requests_for_tiles(sandbox)
    again = await export_mesh(SEEDED.plant)
    assert not again.skipped
    assert requests_for_tiles(sandbox) == fetched + 1
    assert files_in(tileset_of(again)) == blobs_of(sandbox, again)


async def test_force_fetches_every_tile(sandbox: RunningSandbox) -> None:
    """A forced export trusts nothing that is there."""
    await export_mesh(SEEDED.plant)
    fetched = requests_for_tiles(sandbox)
    await export_mesh(SEEDED.plant, force=True)
    assert requests_for_tiles(sandbox) == 2 * fetched


async def test_unchanged_tiles_are_linked(sandbox: RunningSandbox) -> None:
    """Of the next changeset only the changed tiles travel; the others are the same files on the disk."""
    first = await export_mesh(SEEDED.plant)
    inode = (tileset_of(first) / "tiles/0/11.glb").stat().st_ino
    fetched = requests_for_tiles(sandbox)
    sandbox.state.push_changeset(SEEDED.plant)
    second = await export_mesh(SEEDED.plant)
    assert files_in(tileset_of(second)) == blobs_of(sandbox, second)
    assert requests_for_tiles(sandbox) - fetched < 0.2 * second.tile_count
    assert (tileset_of(second) / "tiles/0/11.glb").stat().st_ino == inode


async def test_an_export_that_vanishes_is_replaced_by_another(sandbox: RunningSandbox) -> None:
    """When the export is deleted while it is fetched, another of the same changeset is used."""
    first = make_complete(sandbox)
    imodel = sandbox.state.imodels[SEEDED.plant]
    second = sandbox.state.meshes.start(imodel, first.changeset_id, first.changeset_index, "3DTiles")
    second.seconds, first.started_at = 0, first.started_at.replace(year=2999)
    lose(sandbox, first, after=10)
    report = await export_mesh(SEEDED.plant)
    assert report.run_id == second.id
    assert files_in(tileset_of(report)) == blobs_of(sandbox, report)


async def test_an_export_that_vanishes_for_good_is_an_error(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """When the export is deleted while it is fetched and there is no other, the error says that it is gone."""
    lose(sandbox, make_complete(sandbox), after=10)
    with pytest.raises(NotFoundError, match="is gone from the platform"):
        await export_mesh(SEEDED.plant)
    assert not (tmp_path / "exports" / SEEDED.plant / "mesh").exists()


async def test_a_link_that_expires_is_renewed(sandbox: RunningSandbox) -> None:
    """A download that outlives its link several times goes on with fresh ones, and every byte is right."""
    sandbox.state.imodels[SEEDED.stadium].tiles = 250
    sandbox.state.options.mesh_link_seconds = 2
    sandbox.state.faults.add(Fault(path=TILE, count=None, delay=0.5))
    report = await export_mesh(SEEDED.stadium)
    links = [entry for entry in sandbox.state.log if entry.path.startswith("/mesh-export") and entry.method == "GET"]
    assert any(entry.status == 403 for entry in sandbox.state.log)
    assert len(links) > 3
    assert files_in(tileset_of(report)) == blobs_of(sandbox, report)


async def test_nothing_short_is_accepted(sandbox: RunningSandbox) -> None:
    """Bodies that are cut, shortened or flipped on the way are fetched again."""
    for nth in (3, 15):
        sandbox.state.faults.add(Fault(path=TILE, nth=nth, damage="flip"))
    sandbox.state.faults.add(Fault(path=TILE, nth=9, damage="short"))
    for nth in (20, 30, 40):
        sandbox.state.faults.add(Fault(path=TILE, nth=nth, cut="midway"))
    report = await export_mesh(SEEDED.plant)
    assert all(fault.hits == 1 for fault in sandbox.state.faults.ordered)
    assert files_in(tileset_of(report)) == blobs_of(sandbox, report)


async def test_a_tileset_with_a_hole_is_no_success(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A tile that is referred to and does not exist fails the export and is named."""
    export = make_complete(sandbox)
    sandbox.state.meshes.link(export, with_listing=True)
    del sandbox.state.blobs.containers[export.id]["tiles/0/7.glb"]
    with pytest.raises(ContentError, match=r"tiles/0/7\.glb"):
        await export_mesh(SEEDED.plant)
    assert not (tmp_path / "exports" / SEEDED.plant / "mesh").exists()


async def test_an_empty_tileset_is_no_success(sandbox: RunningSandbox) -> None:
    """A container without tiles fails the export."""
    export = make_complete(sandbox)
    sandbox.state.blobs.containers[export.id] = {}
    with pytest.raises(ContentError):
        await export_mesh(SEEDED.plant)


async def test_a_caller_who_may_not_ask_learns_it(sandbox: RunningSandbox) -> None:
    """Being refused is an error at once, not something to wait out."""
    sandbox.state.faults.add(Fault(path="/mesh-export", method="GET", status=403, code="InsufficientPermissions"))
    with pytest.raises(NotAuthorizedError):
        await export_mesh(SEEDED.plant)


async def test_a_baseline_has_tiles_too() -> None:
    """An iModel without changesets is exported as it was created."""
    report = await export_mesh(SEEDED.baseline)
    assert report.changeset_id == ""
    verify_tileset(tileset_of(report))
    manifest = read_manifest(tileset_of(report))
    assert manifest is not None
    assert manifest.tile_count == report.tile_count


def lose(sandbox: RunningSandbox, export: MeshExport, *, after: int) -> None:
    """Delete an export once so many of its tiles have been read."""
    state = sandbox.state
    read = state.blobs.get
    seen: list[str] = []

    def counted(container: str, name: str) -> object:
        seen.append(name)
        if len(seen) == after:
            state.meshes.delete(export)
        return read(container, name)

    replacing: Callable[[str, Callable[..., object]], None] = vars(state.blobs).__setitem__
    replacing("get", counted)
