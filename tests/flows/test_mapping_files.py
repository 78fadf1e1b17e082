"""Mapping files of the user, from this machine and from a container of their own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from pydantic import SecretStr

from blocks.errors import ConfigurationError, InputError, NotFoundError, RunFailedError
from blocks.itwin.api.mapping_files import FOLDER_NAME
from blocks.storage.user_blob_storage import UserBlobStorage
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

COLUMNS = '{ /* walls are columns */ "Mapping": [{"Class": ["SandboxDynamic", "Wall", "IfcColumn"]}]}'
BEAMS = COLUMNS.replace("IfcColumn", "IfcBeam")


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """A mapping file on this machine."""
    path = tmp_path / "mapping.json"
    path.write_text(COLUMNS)
    return path


@pytest.fixture
def container(azurite: RunningAzurite, monkeypatch: pytest.MonkeyPatch) -> ContainerClient:
    """The container of the user, which the environment leads to."""
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    return ContainerClient.from_connection_string(
        azurite.connection_string, azurite.environment["ITWIN_BLOB_CONTAINER"]
    )


def classes_of(report: ExportReport) -> set[str]:
    """The classes of the published elements."""
    (path,) = [file.path for file in report.files if file.role == "model"]
    text = (Path(report.output_dir) / path).read_text()
    return set(re.findall(r"=IFC(WALL|COLUMN|BEAM|SLAB|BUILDINGELEMENTPROXY)\(", text))


async def export_bridge(**options: Any) -> ExportReport:
    """Export with options that several exports share."""
    report: Any = await export_ifc(SEEDED.bridge, **options)
    return ExportReport.model_validate(report)


def mapping_files(sandbox: RunningSandbox) -> list[str]:
    """Names of the files in the Storage folder for mapping files."""
    items = sandbox.state.items.values()
    folders = {item.id for item in items if item.name == FOLDER_NAME}
    assert len(folders) <= 1
    return [item.name for item in items if item.parent_id in folders]


async def test_a_local_file_maps_what_comes_from_storage(sandbox: RunningSandbox, mapping: Path) -> None:
    """The file is uploaded once for its content, the IFC differs as it says, and the manifest names its hash."""
    first = await export_ifc(SEEDED.plant, mapping_file=str(mapping))
    assert classes_of(first) == {"COLUMN", "BUILDINGELEMENTPROXY"}
    assert classes_of(await export_ifc(SEEDED.bridge, mapping_file=str(mapping))) >= {"COLUMN"}
    assert len(mapping_files(sandbox)) == 1
    manifest = json.loads((Path(first.output_dir) / SEEDED.plant / "ifc" / "manifest.json").read_text())
    assert manifest["options"]["mapping_version"] == f"sha256:{mapping_files(sandbox)[0].removesuffix('.json')}"


async def test_the_same_content_is_the_same_export(sandbox: RunningSandbox, mapping: Path) -> None:
    """Another name changes nothing; a changed file is another export, on a connection of its own."""
    first = await export_ifc(SEEDED.bridge, mapping_file=str(mapping))
    renamed = mapping.rename(mapping.with_name("agreed.json"))
    asked = len(sandbox.state.log)
    assert (await export_ifc(SEEDED.bridge, mapping_file=str(renamed))).skipped
    assert [entry.path for entry in list(sandbox.state.log)[asked:]] == [f"/imodels/{SEEDED.bridge}/changesets"]
    renamed.write_text(BEAMS)
    changed = await export_ifc(SEEDED.bridge, mapping_file=str(renamed))
    assert classes_of(changed) >= {"BEAM"}
    assert (changed.skipped, changed.connection_id == first.connection_id) == (False, False)
    assert len(mapping_files(sandbox)) == 2


async def test_an_incomplete_upload_is_repaired(sandbox: RunningSandbox, mapping: Path) -> None:
    """A file of the right name with another size gets the content anew."""
    await export_ifc(SEEDED.bridge, mapping_file=str(mapping))
    state = sandbox.state
    (item,) = [item for item in state.items.values() if item.name in mapping_files(sandbox)]
    state.overwrite(item, b"")
    assert classes_of(await export_ifc(SEEDED.bridge, mapping_file=str(mapping), force=True)) >= {"COLUMN"}
    assert item.size == len(COLUMNS)


async def test_a_local_file_is_handed_over_through_the_users_container(
    sandbox: RunningSandbox, container: ContainerClient, mapping: Path
) -> None:
    """It lies beside the output, and the platform gets a link that may only read; Storage gets nothing."""
    report = await export_ifc(SEEDED.bridge, mapping_file=str(mapping), output_location="USER_BLOB_STORAGE")
    assert classes_of(report) >= {"COLUMN"}
    (run,) = sandbox.state.runs
    link = run.request["inputOptions"]["mappingfileBlobUrl"]
    name = re.search(rf"/({SEEDED.bridge}/mapping-\w+\.json)\?", link)
    assert name is not None
    assert container.download_blob(name[1]).readall() == COLUMNS.encode()
    assert "&sp=r&" in link
    assert "sig=" not in report.model_dump_json()
    assert mapping_files(sandbox) == []


async def test_a_blob_of_the_users_container_may_be_named(container: ContainerClient, sandbox: RunningSandbox) -> None:
    """A blob is checked like a file: its content counts, and what does not parse starts nothing."""
    container.upload_blob("agreed.json", COLUMNS, overwrite=True)
    options: Any = {"mapping_file": "agreed.json", "output_location": "USER_BLOB_STORAGE"}
    assert classes_of(await export_bridge(**options)) >= {"COLUMN"}
    assert (await export_bridge(**options)).skipped
    container.upload_blob("agreed.json", COLUMNS[:-1], overwrite=True)
    with pytest.raises(InputError, match=r"mapping file agreed\.json is no valid JSON: line 1.*ends before"):
        await export_bridge(**options)
    assert len(list(sandbox.state.runs)) == 1


async def test_a_blob_that_does_not_exist_is_named(container: ContainerClient) -> None:
    """A name that is neither a file nor a blob says that both were looked for."""
    assert container.exists()
    with pytest.raises(NotFoundError, match=r"no blob “nosuch\.json” in container.*no file .*nosuch\.json either"):
        await export_ifc(SEEDED.bridge, mapping_file="nosuch.json", output_location="USER_BLOB_STORAGE")


async def test_ready_made_links_may_hold_one_for_the_mapping_file(sandbox: RunningSandbox) -> None:
    """A block without an account hands over its own link; a named file would need the account."""
    sandbox.state.blobs.put("mine", "map.json", COLUMNS.encode())
    block = UserBlobStorage(
        output_sas_url=SecretStr(sandbox.signed_url("mine", "model.ifc", permissions="rcw", seconds=90_000)),
        mapping_file_sas_url=SecretStr(sandbox.signed_url("mine", "map.json", permissions="r", seconds=90_000)),
    )
    await block.asave("links", overwrite=True)
    options: Any = {"output_location": "USER_BLOB_STORAGE", "blob_storage": "links", "save_logs": False}
    assert classes_of(await export_bridge(**options)) >= {"COLUMN"}
    assert (await export_bridge(**options)).skipped
    with pytest.raises(ConfigurationError, match=r"connection string is needed.*mapping_file_sas_url"):
        await export_bridge(mapping_file="map.json", **options)


async def test_odd_rows_are_warnings_of_the_export(mapping: Path) -> None:
    """They stand in the report and, when it is skipped, again; the export goes on."""
    mapping.write_text(COLUMNS.replace("IfcColumn", "IfcColum"))
    report = await export_ifc(SEEDED.bridge, mapping_file=str(mapping))
    assert any("has no class IfcColum" in warning for warning in report.warnings)
    assert (await export_ifc(SEEDED.bridge, mapping_file=str(mapping))).warnings == report.warnings


async def test_a_mapping_that_the_exporter_refuses_fails_the_run(sandbox: RunningSandbox) -> None:
    """A file in Storage is not checked here: the run fails as the platform documents."""
    root = sandbox.state.itwins[SEEDED.itwin].root_folder_id
    file = sandbox.state.add_file(root, "m.json", COLUMNS[:-1].encode())
    with pytest.raises(RunFailedError, match="TAE_BRW_1000"):
        await export_ifc(SEEDED.bridge, mapping_file_id=file.id)


async def test_a_batch_uploads_one_file(sandbox: RunningSandbox, mapping: Path) -> None:
    """Several exports at once put the mapping file into Storage once, and look for its folder once."""
    imodels = [SEEDED.plant, SEEDED.bridge, SEEDED.baseline]
    report = await export_itwin(SEEDED.itwin, imodel_ids=imodels, mapping_file=str(mapping))
    assert report.exported == 3
    assert len(mapping_files(sandbox)) == 1
    paths = [entry.path for entry in sandbox.state.log if entry.path.endswith("/folders")]
    assert len(paths) == 2
