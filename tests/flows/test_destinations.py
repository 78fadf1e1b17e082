"""Exports that go to an object store: Azurite, moto's S3 and a Google Cloud server."""

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError, DiskError, ExportError, InputError
from blocks.storage.content.difference import TilesetDifference
from blocks.storage.destination.store_access import StoreAccess
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.export_destination import ExportDestination
from blocks.storage.history import KeptExport
from deployments.cli.listed_exports import list_stored_exports
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from flows.signatures import ifc_request, mesh_request
from tasks.reports import ExportReport
from tests.benchmarks.ifc_content import write_walls
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore

PART = 8 * 1024 * 1024

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty work folder, the only disk that an export may use."""
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", "/proc/nowhere")
    return tmp_path / "work"


@pytest.fixture
async def block(destination: StoreUnderTest) -> str:
    """Name of a saved block that leads to the destination."""
    return await saved(destination)


async def saved(destination: StoreUnderTest) -> str:
    """Save a block for a destination; its name."""
    secrets = {name: SecretStr(value) for name, value in vars(destination.access).items() if value}
    plain = {"endpoint_url": destination.access.endpoint_url, "region": destination.access.region}
    name = destination.url.rpartition("/")[2]
    await ExportDestination.model_validate({"url": destination.url, **secrets, **plain}).asave(name)
    return name


def published(destination: StoreUnderTest, report: ExportReport) -> dict[str, int]:
    """What a reader finds by the manifest alone: sizes by name; every file is as the manifest says."""
    store = destination.open()
    export = StoredExport(store, f"{report.imodel_id}/{report.format}", Path())
    manifest = export.see().manifest
    assert manifest
    export.verify(KeptExport(Path(), manifest), full=True)
    return {file.path: file.size for file in manifest.files}


async def test_an_ifc_export_is_published_and_skipped(
    destination: StoreUnderTest, block: str, sandbox: RunningSandbox, work: Path
) -> None:
    """Without a disk that lasts: the files lie in the store, and the next export has nothing to do but look.

    The report names the address; after the next changeset the export is replaced and compared with the one before.
    """
    report = await export_ifc(SEEDED.plant, destination=block)
    assert report.output_dir == destination.url
    assert published(destination, report).keys() >= {Path(file.path).name for file in report.files}
    shutil.rmtree(work)
    again = await export_ifc(SEEDED.plant, destination=block, verify=True)
    assert (again.skipped, again.run_id, len(list(sandbox.state.runs))) == (True, report.run_id, 1)
    sandbox.state.push_changeset(SEEDED.plant)
    shutil.rmtree(work)
    after = await export_ifc(SEEDED.plant, destination=block)
    assert after.difference
    assert after.difference.before.changeset_id == report.changeset_id
    assert published(destination, after)


async def test_a_large_file_is_uploaded_while_it_is_downloaded(
    s3_store: XmlStore, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """Its parts are uploaded once, before it is checked, and it is published whole; the next one takes its place."""
    write_walls(tmp_path / "walls.ifc", 20_000_000)
    content = (tmp_path / "walls.ifc").read_bytes()
    sandbox.state.script(SEEDED.plant, Outcome(content=content))
    destination = of_xml_store(s3_store)
    name = await saved(destination)
    report = await export_ifc(SEEDED.plant, "IFC4 RV 1.2", destination=name)
    assert published(destination, report)
    (model,) = [key for key in s3_store.objects if key.endswith(".ifc")]
    assert s3_store.objects[model].content == content
    writes = [method for method, key in s3_store.requests if key == model and method in {"POST", "PUT"}]
    assert writes == ["POST", *["PUT"] * (len(content) // PART + 1), "POST"]
    assert s3_store.parts == {}


async def test_an_unchanged_export_takes_two_requests(s3_store: XmlStore, sandbox: RunningSandbox) -> None:
    """That nothing is to be done is found with the manifest and one listing."""
    destination = of_xml_store(s3_store)
    name = await saved(destination)
    await export_ifc(SEEDED.plant, destination=name)
    asked = len(s3_store.requests)
    assert (await export_ifc(SEEDED.plant, destination=name)).skipped
    assert [method for method, _ in s3_store.requests[asked:]] == ["GET", "GET"]
    assert len(list(sandbox.state.runs)) == 1


async def test_a_damaged_export_is_exported_again(destination: StoreUnderTest, block: str) -> None:
    """An object that somebody has overwritten, with one of the same size, is found by the listing and replaced."""
    report = await export_ifc(SEEDED.plant, destination=block)
    destination.open().write(report.files[0].path, b"x" * report.files[0].size)
    again = await export_ifc(SEEDED.plant, destination=block)
    assert not again.skipped
    assert published(destination, again)


async def test_a_run_of_a_machine_that_is_gone_is_taken_over(
    destination: StoreUnderTest, block: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker dies while the platform works; another machine finds its note at the destination and follows its run."""
    sandbox.state.options.run_seconds = 3
    dying = asyncio.ensure_future(export_ifc(SEEDED.plant, destination=block))
    while not list(sandbox.state.runs):  # noqa: ASYNC110  the stand-in platform runs in a thread
        await asyncio.sleep(0.05)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "other-machine"))
    report = await export_ifc(SEEDED.plant, destination=block)
    assert (report.adopted, len(list(sandbox.state.runs))) == (True, 1)
    assert published(destination, report)


async def test_no_secret_is_left_behind(
    destination: StoreUnderTest, block: str, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the report, the log, the work folder nor an object in the store holds a secret of the destination."""
    report = await export_ifc(SEEDED.plant, destination=block)
    store = destination.open()
    texts = [report.model_dump_json(), caplog.text]
    texts += [path.read_text(errors="replace") for path in work.rglob("*") if path.is_file()]
    texts += [found.content.decode(errors="replace") for key in store.entries("") if (found := store.read(key, 10**7))]
    secrets = {destination.access.secret_access_key, destination.access.access_key_id}
    secrets |= {part.partition("=")[2] for part in destination.access.connection_string.split(";") if "Key" in part}
    assert not [secret for secret in secrets - {""} if any(secret in text for text in texts)]


@pytest.mark.parametrize("address", ["ftp://host/x", "s3://a//b", "https://example.com/x"])
@pytest.mark.parametrize("check", [ifc_request, mesh_request])
async def test_an_address_that_is_not_supported_is_refused(check: object, address: str) -> None:
    """It is refused before anything is started."""
    assert callable(check)
    with pytest.raises(InputError, match="The output address"):
        check(SEEDED.plant, output_dir=address)


async def test_a_container_that_does_not_exist_is_named(
    destination: StoreUnderTest, block: str, sandbox: RunningSandbox
) -> None:
    """An address that leads nowhere ends before a run is started, with the address in the message."""
    if destination.url.startswith("gs"):
        return
    url = f"{destination.url[:2]}://nowhere/x"
    with pytest.raises(ConfigurationError, match="The container or bucket of"):
        await export_ifc(SEEDED.plant, destination=block, output_dir=url)
    assert not list(sandbox.state.runs)


async def test_a_tileset_is_published_and_skipped(
    destination: StoreUnderTest, block: str, sandbox: RunningSandbox, work: Path
) -> None:
    """The tiles lie in a generation that the small root refers to; nothing is left on the worker; it is found again.

    After the next changeset the tiles that have not changed are copied inside the store, and the old generation stays.
    """
    report = await export_mesh(SEEDED.plant, destination=block)
    store, key = destination.open(), f"{SEEDED.plant}/mesh"
    first = StoredTileset(store, key, Path()).see().manifest
    assert first
    first_names = set(published(destination, report))
    root = store.read(f"{key}/tileset.json", 10_000)
    assert root
    assert json.loads(root.content)["root"]["content"]["uri"] == f"{first.generation}/tileset.json"
    assert report.files[0].sha256 == hashlib.sha256(root.content).hexdigest()
    assert not list(work.rglob("*.glb"))
    shutil.rmtree(work)
    again = await export_mesh(SEEDED.plant, destination=block, verify=True)
    assert (again.skipped, again.tile_count) == (True, report.tile_count)
    sandbox.state.push_changeset(SEEDED.plant)
    after = await export_mesh(SEEDED.plant, destination=block)
    assert after.difference
    assert published(destination, after).keys().isdisjoint(first_names - {"tileset.json", "content.json"})
    assert {f"{key}/{name}" for name in first_names} <= set(store.entries(key))


async def test_azure_copies_the_tiles_itself(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a picture no tile is fetched from one container of Azure for another, but for keys that cannot be signed.

    The next changeset is compared with it by the MD5s, and copies what is there already.
    """
    monkeypatch.setenv("ITWIN_PREVIEW", "off")
    account = sandbox.state.blobs
    account.create_container("exports")
    access = StoreAccess(connection_string=account.connection_string(sandbox.url))
    destination = StoreUnderTest(f"az://exports/{uuid4().hex}", access)
    name = await saved(destination)
    report = await export_mesh(SEEDED.plant, destination=name)
    read = [entry.path for entry in sandbox.state.log if entry.method == "GET" and entry.path.endswith(".glb")]
    assert not [path for path in read if quote(path) == path]
    assert sum(name.endswith(".glb") for name in published(destination, report)) == report.tile_count
    sandbox.state.push_changeset(SEEDED.plant)
    after = await export_mesh(SEEDED.plant, destination=name)
    assert published(destination, after)
    assert isinstance(after.difference, TilesetDifference)
    assert 0 < after.difference.changed.files < after.difference.kept.files
    assert (await export_mesh(SEEDED.plant, destination=name, verify=True)).skipped


async def test_a_batch_goes_to_an_object_store(s3_store: XmlStore, work: Path) -> None:
    """IFC files and tiles of an iTwin lie in the store with the report of the batch; a second batch skips them all."""
    destination = of_xml_store(s3_store)
    name = await saved(destination)
    imodels = [SEEDED.plant, SEEDED.bridge]
    report = await export_itwin(SEEDED.itwin, ["ifc", "mesh"], imodels, destination=name)
    assert (report.exported, report.failed) == (4, 0)
    assert all(published(destination, one) for one in report.reports)
    shutil.rmtree(work)
    again = await export_itwin(SEEDED.itwin, ["ifc", "mesh"], imodels, destination=name)
    assert again.skipped == 4
    kept = destination.open().entries(".itwin-export/batches")
    assert len(kept) == 2
    rows = await asyncio.to_thread(list_stored_exports, destination.open())
    assert {row["folder"] for row in rows} == {f"{imodel}/{chosen}" for imodel in imodels for chosen in ("ifc", "mesh")}


async def test_a_batch_in_a_store_ends_with_one_tileset_for_all(
    destination: StoreUnderTest, block: str, sandbox: RunningSandbox
) -> None:
    """With federate, the common tileset lies beside the iModels and refers to what is published of them."""
    sandbox.state.options.mesh_seconds = 0.1
    site = sandbox.state.add_itwin("Site")
    made = [sandbox.state.add_imodel(site.id, f"Part {n}", tiles=2).id for n in range(2)]
    report = await export_itwin(site.id, formats=["mesh"], imodel_ids=made[:1], federate=True, destination=block)
    assert report.federation
    assert report.federation.tileset == f"{destination.url}/{site.id}/tileset.json"
    assert [one.status for one in report.federation.imodels] == ["included", "left out"]
    common = destination.open().read(f"{site.id}/tileset.json", 10**6)
    assert common
    assert f'"../{made[0]}/mesh/tileset.json"' in common.content.decode()


async def test_what_was_issued_stays_in_the_store(s3_store: XmlStore, sandbox: RunningSandbox) -> None:
    """An IFC file and a tileset of a version lie in the history; asking for that version again needs no run."""
    destination = of_xml_store(s3_store)
    name = await saved(destination)
    issued = await export_ifc(SEEDED.plant, named_version="Issued for review", keep=1, destination=name)
    await export_ifc(SEEDED.plant, keep=1, destination=name)
    again = await export_ifc(SEEDED.plant, named_version="Issued for review", destination=name)
    assert (again.skipped, again.run_id) == (True, issued.run_id)
    assert all("/history/0003 Issued for review/" in file.path for file in again.files)
    assert all(destination.open().sha256_of(file.path) == file.sha256 for file in again.files)
    tiles = await export_mesh(SEEDED.plant, changeset_id="3", keep=1, destination=name)
    await export_mesh(SEEDED.plant, keep=1, destination=name)
    kept = await export_mesh(SEEDED.plant, changeset_id="3", destination=name)
    assert (kept.skipped, kept.run_id) == (True, tiles.run_id)
    assert len(list(sandbox.state.runs)) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(403, "QuotaExceeded"), DiskError),
        (Answer(400, "ExpiredToken"), ConfigurationError),
        (Answer(404, "NoSuchBucket"), ConfigurationError),
    ],
)
async def test_a_store_that_refuses_the_file_costs_no_second_run(
    answer: Answer, error: type[ExportError], s3_store: XmlStore, sandbox: RunningSandbox
) -> None:
    """A bucket without room, expired credentials or a bucket that is gone end the export while the file is uploaded.

    Once it works again the same run's file is published.
    """
    destination = of_xml_store(s3_store)
    name = await saved(destination)
    s3_store.fault = lambda method, key: answer if (method, key[-4:]) == ("PUT", ".ifc") else None
    with pytest.raises(error):
        await export_ifc(SEEDED.plant, destination=name)
    s3_store.fault = None
    assert published(destination, await export_ifc(SEEDED.plant, destination=name))
    assert len(list(sandbox.state.runs)) == 1
