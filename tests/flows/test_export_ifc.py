"""The flow export-ifc against the stand-in platform."""

import json
import os
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError, ContentError, NotFoundError, RunFailedError
from blocks.storage.content.difference import IfcDifference
from blocks.storage.content.models import ExportContent, IfcSummary
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.ifc.options import IfcVersion
from tasks.ifc.output import fetch_output
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

SCHEMAS: dict[IfcVersion, bytes] = {
    "IFC4.3": b"IFC4X3",
    "IFC2x3": b"IFC2X3",
    "IFC2x3 CV 2.0": b"IFC2X3",
    "IFC4 RV 1.2": b"IFC4",
}


def model_of(report: ExportReport) -> Path:
    """The published IFC file."""
    (path,) = [file.path for file in report.files if file.role == "model"]
    return Path(report.output_dir) / path


async def test_the_latest_changeset_arrives_from_storage(sandbox: RunningSandbox) -> None:
    """An export of an iModel without further options publishes the IFC file of its latest changeset and the log."""
    report = await export_ifc(SEEDED.plant)
    imodel = sandbox.state.imodels[SEEDED.plant]
    assert report.changeset_id == imodel.changesets[-1].id
    assert imodel.changesets[-1].id.encode() in model_of(report).read_bytes()
    assert {file.role for file in report.files} == {"model", "log"}
    assert [run.id for run in sandbox.state.runs] == [report.run_id]


async def test_the_manifest_says_what_was_exported() -> None:
    """The manifest beside the file names changeset, run, options, size and hash."""
    report = await export_ifc(SEEDED.plant, ifc_version="IFC2x3")
    manifest = json.loads((model_of(report).parent / "manifest.json").read_text())
    assert (manifest["changeset_id"], manifest["run_id"]) == (report.changeset_id, report.run_id)
    assert manifest["options"]["ifc_version"] == "IFC2x3"
    assert {file["path"]: file["sha256"] for file in manifest["files"] if file["role"] != "content"} == {
        Path(file.path).name: file.sha256 for file in report.files
    }


async def test_the_content_report_lies_beside_the_file() -> None:
    """What the file contains is in `content.json`, its short form in manifest and report, also of a skipped export."""
    report = await export_ifc(SEEDED.plant)
    folder = model_of(report).parent
    content = ExportContent.model_validate_json((folder / "content.json").read_bytes())
    assert [file.path for file in content.ifc] == [model_of(report).name]
    assert content.ifc[0].size == model_of(report).stat().st_size
    assert report.content == content.summary()
    assert isinstance(report.content, IfcSummary)
    assert report.content.elements > report.content.storeys > 0
    again = await export_ifc(SEEDED.plant)
    assert again.skipped
    assert again.content == report.content
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "content.json" in {file["path"] for file in manifest["files"]}
    assert manifest["content"] == report.content.model_dump()


async def test_an_export_of_an_earlier_release_stays_current(sandbox: RunningSandbox) -> None:
    """An export without a content report is skipped like any other, and its report has no content."""
    folder = model_of(await export_ifc(SEEDED.plant)).parent
    (folder / "content.json").unlink()
    (folder / "global-ids.bin").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if file["role"] != "content"]
    for name in ("content", "verdict", "checks", "acceptance", "previous"):
        del manifest[name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    report = await export_ifc(SEEDED.plant)
    assert report.skipped
    assert (report.content, report.verdict) == (None, "not_checked")
    assert len(list(sandbox.state.runs)) == 1
    assert (await export_ifc(SEEDED.plant, force=True)).difference is None


async def test_the_difference_to_the_export_before_is_told(sandbox: RunningSandbox) -> None:
    """GlobalIds added and gone since the export before are counted by class; a skipped export keeps the count."""
    assert (await export_ifc(SEEDED.plant)).difference is None
    before = sandbox.state.imodels[SEEDED.plant]
    before.elements += 3
    sandbox.state.push_changeset(SEEDED.plant)
    report = await export_ifc(SEEDED.plant)
    assert isinstance(report.difference, IfcDifference)
    assert (report.difference.before.changeset_index, report.difference.before.same_options) == (5, True)
    assert report.difference.gone == 0
    products = [name for name in report.difference.classes if name in {"IfcWall", "IfcSlab", "IfcBuildingElementProxy"}]
    assert sum(report.difference.classes[name].added for name in products) == 3
    content = ExportContent.model_validate_json((model_of(report).parent / "content.json").read_bytes())
    assert isinstance(content.difference, IfcDifference)
    assert content.difference.classes.keys() > report.difference.classes.keys()
    assert (await export_ifc(SEEDED.plant)).difference == report.difference
    same = await export_ifc(SEEDED.plant, force=True, ifc_version="IFC4 RV 1.2")
    assert isinstance(same.difference, IfcDifference)
    assert (same.difference.added, same.difference.before.same_options) == (0, False)


@pytest.mark.parametrize("ifc_version", SCHEMAS)
async def test_every_version_comes_in_its_schema(ifc_version: IfcVersion) -> None:
    """Each IFC version the platform offers arrives in its own schema."""
    report = await export_ifc(SEEDED.bridge, ifc_version=ifc_version, save_logs=False)
    assert b"FILE_SCHEMA(('" + SCHEMAS[ifc_version] in model_of(report).read_bytes()


async def test_an_imodel_without_changesets_exports_its_baseline() -> None:
    """An iModel without changesets is exported as it was created."""
    report = await export_ifc(SEEDED.baseline)
    assert report.changeset_id == ""
    assert model_of(report).is_file()


async def test_a_changeset_may_be_named_by_its_index(sandbox: RunningSandbox) -> None:
    """An index is resolved to the changeset's id before the run starts."""
    second = sandbox.state.imodels[SEEDED.plant].changesets[1]
    report = await export_ifc(SEEDED.plant, changeset_id=str(second.index))
    assert report.changeset_id == second.id


async def test_an_unknown_changeset_is_refused_before_anything_is_created(sandbox: RunningSandbox) -> None:
    """A changeset that does not exist ends the flow before a connection is made."""
    with pytest.raises(NotFoundError, match="Read changeset 99"):
        await export_ifc(SEEDED.plant, changeset_id="99")
    assert not sandbox.state.connections


async def test_an_identical_export_is_skipped(sandbox: RunningSandbox) -> None:
    """A second export of the same changeset and options starts nothing and reports the files that are there."""
    first = await export_ifc(SEEDED.plant)
    second = await export_ifc(SEEDED.plant)
    assert second.skipped
    assert second.files == first.files
    assert len(list(sandbox.state.runs)) == 1


async def test_force_exports_again_on_the_same_connection() -> None:
    """A forced export starts a new run on the connection that is there."""
    first = await export_ifc(SEEDED.plant)
    second = await export_ifc(SEEDED.plant, force=True)
    assert first.run_id != second.run_id
    assert first.connection_id == second.connection_id


async def test_a_damaged_export_is_made_anew() -> None:
    """A published file that was changed afterwards does not count as exported."""
    first = await export_ifc(SEEDED.plant)
    model_of(first).write_bytes(b"damaged")
    second = await export_ifc(SEEDED.plant)
    assert not second.skipped
    assert second.files[0].sha256 == first.files[0].sha256


@pytest.mark.parametrize("verify", [True, False])
async def test_a_file_changed_unnoticeably_is_found_when_read_whole(*, verify: bool) -> None:
    """With the same size and time stamp other bytes pass the quick look, and not `verify`."""
    path = model_of(await export_ifc(SEEDED.plant))
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await export_ifc(SEEDED.plant, verify=verify)).skipped is not verify


async def test_a_changed_mapping_file_counts_as_changed_options(sandbox: RunningSandbox) -> None:
    """The same mapping file is skipped at two requests; once it has changed, the iModel is exported with it anew."""
    state = sandbox.state
    root = state.itwins[SEEDED.itwin].root_folder_id
    mapping = state.add_file(root, "mapping.json", b"{}")
    first = await export_ifc(SEEDED.plant, mapping_file_id=mapping.id)
    since = len(state.log)
    assert (await export_ifc(SEEDED.plant, mapping_file_id=mapping.id)).skipped
    assert len([entry for entry in list(state.log)[since:] if not entry.path.startswith("/connect")]) == 2
    state.overwrite(mapping, b'{"IFC4x3": []}')
    second = await export_ifc(SEEDED.plant, mapping_file_id=mapping.id)
    assert not second.skipped
    assert second.connection_id != first.connection_id


async def test_other_options_use_another_connection() -> None:
    """Options make the connection, so a run on our connection always has our options."""
    first = await export_ifc(SEEDED.plant)
    second = await export_ifc(SEEDED.plant, ifc_version="IFC2x3")
    assert first.connection_id != second.connection_id


async def test_a_deleted_connection_is_ensured_again(sandbox: RunningSandbox) -> None:
    """A connection we knew and that was deleted since is created anew, once."""
    first = await export_ifc(SEEDED.plant)
    sandbox.state.connections.clear()
    second = await export_ifc(SEEDED.plant, force=True)
    assert second.connection_id in sandbox.state.connections
    assert second.connection_id != first.connection_id


@pytest.mark.parametrize("imodel_name", ["Plant", "p" * 197, "é" * 255])
async def test_a_users_own_container_is_served(
    imodel_name: str, azurite: RunningAzurite, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With USER_BLOB_STORAGE the platform writes into the user's container, and the file is pulled from there.

    It is named after the iModel, as long as its name may be.
    """
    sandbox.state.imodels[SEEDED.plant].name = imodel_name
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    report = await export_ifc(SEEDED.plant, output_location="USER_BLOB_STORAGE")
    assert report.changeset_id.encode() in model_of(report).read_bytes()
    assert {file.role for file in report.files} == {"model", "log"}


async def test_a_run_that_names_no_file_is_found_in_its_folder(sandbox: RunningSandbox) -> None:
    """Where the platform does not name the produced file, the one in the folder that fits is taken."""
    sandbox.state.options.output_file_id = "absent"
    report = await export_ifc(SEEDED.plant)
    assert report.changeset_id.encode() in model_of(report).read_bytes()


async def test_a_failed_task_fails_the_export_though_the_run_says_success(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """A run that says Success while its task says Error publishes nothing and says why."""
    sandbox.state.script(SEEDED.plant, Outcome(task_result="Error"))
    with pytest.raises(RunFailedError, match="TAE_BRW_1000"):
        await export_ifc(SEEDED.plant)
    assert not list(tmp_path.rglob("*.ifc"))


async def test_the_next_export_after_a_failed_run_starts_a_new_one(sandbox: RunningSandbox) -> None:
    """A failed run is never replayed: the next export starts another."""
    sandbox.state.script(SEEDED.plant, Outcome(task_result="Error"))
    with pytest.raises(RunFailedError):
        await export_ifc(SEEDED.plant)
    report = await export_ifc(SEEDED.plant)
    assert report.result == "Success"
    assert len(list(sandbox.state.runs)) == 2


async def test_a_file_of_another_kind_is_never_published(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A download that is no IFC file ends the export with nothing under the final name."""
    sandbox.state.script(SEEDED.plant, Outcome(content=b"<html>not yours</html>"))
    with pytest.raises(ContentError, match="is not an IFC file"):
        await export_ifc(SEEDED.plant)
    assert not list((tmp_path / "exports").rglob("ifc/*"))


async def test_an_answer_lost_after_the_effect_starts_no_second_run(sandbox: RunningSandbox) -> None:
    """When the answer to create-run is lost, the next attempt finds the run instead of starting another."""
    sandbox.state.faults.add(Fault(path="/runs$", method="POST", cut="after"))
    report = await export_ifc(SEEDED.plant)
    assert [run.id for run in sandbox.state.runs] == [report.run_id]
    assert not report.adopted


@pytest.mark.parametrize("nth", [1, 2], ids=["the model", "its log"])
async def test_a_portal_on_the_way_costs_no_second_run(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """A page that a portal sends in place of a file is not the file: it is fetched again, from the same run."""
    monkeypatch.setattr(fetch_output, "retry_delay_seconds", [0.1])
    page = Fault(path="/sandboxblobs/", nth=2 * nth - 1, count=2, status=200, body="<html>a portal</html>")
    sandbox.state.faults.add(page)
    report = await export_ifc(SEEDED.plant)
    assert page.hits == 2
    assert [run.id for run in sandbox.state.runs] == [report.run_id]


@pytest.mark.parametrize("wrong", ["container", "key"])
async def test_a_container_that_cannot_work_starts_nothing(
    sandbox: RunningSandbox, azurite: RunningAzurite, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """A container that is not there and a key that does not fit end the export before the platform is asked for it."""
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    if wrong == "container":
        monkeypatch.setenv("ITWIN_BLOB_CONTAINER", "nosuch")
    else:
        text = azurite.connection_string.replace(azurite.key, "d3Jvbmc=")
        monkeypatch.setenv("ITWIN_BLOB_CONNECTION_STRING", text)
    with pytest.raises(ConfigurationError, match=r"container “\w+” on 127\.0\.0\.1"):
        await export_ifc(SEEDED.plant, output_location="USER_BLOB_STORAGE")
    assert (list(sandbox.state.runs), dict(sandbox.state.connections)) == ([], {})


async def test_a_blob_that_never_arrived_costs_one_new_run(
    sandbox: RunningSandbox, azurite: RunningAzurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose blob is not in the container fails once, names blob and container, and is not fetched again."""
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    sandbox.state.script(SEEDED.plant, Outcome(writes_file=False))
    with pytest.raises(NotFoundError, match=r"There is no “.*\.ifc” in container “exports” on 127\.0\.0\.1"):
        await export_ifc(SEEDED.plant, output_location="USER_BLOB_STORAGE")
    report = await export_ifc(SEEDED.plant, output_location="USER_BLOB_STORAGE")
    assert [run.id for run in sandbox.state.runs][1:] == [report.run_id]
