"""Exports of what is given by name: iTwin, iModel and named version, against the stand-in platform."""

from pathlib import Path

import pytest

from blocks.errors import InputError, NotFoundError
from blocks.storage.manifest import Manifest, read_manifest
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

PLANT = "campus/plant a"


def manifest_of(report: ExportReport) -> Manifest:
    manifest = read_manifest(Path(report.output_dir) / report.imodel_id / report.format)
    assert manifest is not None
    return manifest


async def asked_since(sandbox: RunningSandbox, number: int) -> list[str]:
    """Requests to the API since so many, without sign-ins."""
    return [entry.path for entry in list(sandbox.state.log)[number:] if not entry.path.startswith("/connect")]


async def test_names_lead_to_the_export_of_a_named_version(sandbox: RunningSandbox) -> None:
    """From nothing but names the changeset of the version is exported; report and manifest say what was asked."""
    state = sandbox.state
    version = state.name_version(SEEDED.plant, "As tendered", index=2, description="for the client")
    report = await export_ifc(PLANT, named_version="as tendered")
    assert (report.imodel_id, report.imodel_name, report.changeset_index) == (SEEDED.plant, "Plant A", 2)
    assert report.named_version is not None
    assert (report.named_version.id, report.named_version.name) == (version.id, "As tendered")
    assert [run.changeset_id for run in state.runs] == [version.changeset_id]
    manifest = manifest_of(report)
    assert (manifest.imodel_name, manifest.changeset_id, manifest.changeset_index) == (
        "Plant A",
        version.changeset_id,
        2,
    )
    assert manifest.named_version is not None
    assert (manifest.named_version.description, manifest.named_version.name) == ("for the client", "As tendered")
    assert manifest.named_version.created_at is not None


async def test_an_id_costs_no_more_requests_than_before(sandbox: RunningSandbox) -> None:
    """An export with nothing to do costs one request by id, by version and by address, and three by name."""
    await export_ifc(SEEDED.plant)
    version = sandbox.state.imodels[SEEDED.plant].named_versions[-1]
    address = f"https://developer.bentley.com/my-itwins/{SEEDED.itwin}/{SEEDED.plant}"
    counts: list[int] = []
    for imodel, asked in ((SEEDED.plant, None), (SEEDED.plant, version.id), (address, version.name), (PLANT, None)):
        before = len(sandbox.state.log)
        assert (await export_ifc(imodel, named_version=asked)).skipped
        counts.append(len(await asked_since(sandbox, before)))
    assert counts == [1, 1, 1, 3]


async def test_the_imodel_is_read_at_most_once(sandbox: RunningSandbox) -> None:
    """An export requests its iModel once by id; by name or in a batch the list already contains it."""
    await export_ifc(SEEDED.plant, file_name="{imodel}")
    counts = [(await asked_since(sandbox, 0)).count(f"/imodels/{SEEDED.plant}")]
    report = await export_ifc(PLANT, file_name="{imodel} named")
    assert Path(report.files[0].path).name == "Plant A named.ifc"
    (bridge,) = (await export_itwin(SEEDED.itwin, imodel_ids=[SEEDED.bridge], formats=["ifc"])).reports
    asked = await asked_since(sandbox, 0)
    counts += [asked.count(f"/imodels/{one}") for one in (SEEDED.plant, SEEDED.bridge)]
    assert (counts, bridge.imodel_name) == ([1, 1, 0], "Bridge")


async def test_a_retry_of_a_flow_run_looks_no_name_up_again(sandbox: RunningSandbox) -> None:
    """When the flow run is tried again, iModel and version are those that were found the first time."""
    sandbox.state.faults.add(Fault(path="/export/connections", status=403))
    twice = export_ifc.with_options(retries=1, retry_delay_seconds=0)
    report = await twice(PLANT, named_version="Issued for review")
    assert report.changeset_index == 3
    asked = await asked_since(sandbox, 0)
    assert sum(path in {"/itwins", "/imodels"} for path in asked) == 2
    assert sum(path.endswith("/namedversions") for path in asked) == 1


async def test_a_named_version_of_tiles_is_exported() -> None:
    """Tiles of a named version, given by name, have its changeset and name in report and manifest."""
    report = await export_mesh(PLANT, named_version="latest")
    assert (report.imodel_name, report.changeset_index) == ("Plant A", 5)
    assert report.named_version is not None
    assert report.named_version.name == "Issued for construction"
    again = await export_mesh(SEEDED.plant)
    assert (again.skipped, again.imodel_name, again.named_version) == (True, "Plant A", report.named_version)
    assert manifest_of(report).named_version is not None


async def test_a_version_renamed_between_two_nights(sandbox: RunningSandbox) -> None:
    """The old name is not found and the new one suggested; by id nothing is exported again, and the new name noted."""
    version = sandbox.state.imodels[SEEDED.plant].named_versions[-1]
    await export_ifc(SEEDED.plant, named_version="Issued for construction")
    version.name = "Issued for construction B"
    with pytest.raises(NotFoundError, match="Near names: “Issued for construction B”"):
        await export_ifc(SEEDED.plant, named_version="Issued for construction")
    report = await export_ifc(SEEDED.plant, named_version=version.id)
    assert report.skipped
    assert report.named_version is not None
    assert report.named_version.name == version.name
    noted = manifest_of(report).named_version
    assert noted is not None
    assert noted.name == version.name
    assert (await export_ifc(SEEDED.plant)).named_version == report.named_version


async def test_a_name_that_somebody_else_takes_meanwhile(sandbox: RunningSandbox) -> None:
    """A name that two iModels have is refused with both ids, before anything is created."""
    other = sandbox.state.add_imodel(SEEDED.itwin, "Plant A")
    with pytest.raises(InputError, match=f"{SEEDED.plant}.*{other.id}"):
        await export_ifc(PLANT)
    assert not sandbox.state.connections


async def test_an_itwin_is_exported_by_its_name() -> None:
    """A batch takes the iTwin and its iModels by name; each report has the name and its version."""
    names = ["Plant A", "Campus/Bridge"]
    report = await export_itwin("CAMPUS", imodel_ids=names, named_version="latest", formats=["ifc"], fail_when="never")
    assert report.itwin_id == SEEDED.itwin
    (exported,) = report.reports
    assert (exported.imodel_name, exported.changeset_index) == ("Plant A", 5)
    assert [failure.imodel_id for failure in report.failures] == [SEEDED.bridge]
    assert "no named version that is not hidden" in report.failures[0].error


@pytest.mark.parametrize(
    ("names", "message"),
    [(["Plnat A"], "no initialized iModel Plnat A.*Near names: “Plant A”"), (["Twin"], "2 iModels of iTwin .* “Twin”")],
)
async def test_a_wrong_name_in_a_batch_is_refused(sandbox: RunningSandbox, names: list[str], message: str) -> None:
    """A name that no iModel of the iTwin has, or several, ends the batch before anything is exported."""
    for _ in range(2):
        sandbox.state.add_imodel(SEEDED.itwin, "Twin")
    with pytest.raises(InputError, match=message):
        await export_itwin(SEEDED.itwin, imodel_ids=names)
    assert not sandbox.state.connections
