"""The events that exports and batches leave on a real Prefect server."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import get_client
from prefect.events import DeploymentEventTrigger
from prefect.states import Cancelled, Crashed

from blocks.errors import ExportTimeoutError, RejectedError, RunFailedError
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.events.outbox import Outbox
from tasks.events.publications import Publication
from tasks.ifc.run_heartbeat import report_detached_run
from tasks.state_dir import StateDir
from tests.prefect_api import ask
from tests.prefect_events import events_of, names_of
from tests.processes.commands import until

README = Path(__file__).parents[2] / "README.md"

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """The output folder."""
    return tmp_path / "exports"


async def test_a_published_export_is_announced(prefect_server: str, exports: Path) -> None:
    """The event names iModel, version, verdict, flow run, destination, manifest, and files with size and hash."""
    report = await export_ifc(SEEDED.plant, named_version="Issued for review")
    (event,) = events_of(prefect_server, exports, 1)
    said = event["payload"]
    assert event["event"] == "itwin.export.published"
    assert event["resource"]["prefect.resource.id"] == f"itwin.imodel.{SEEDED.plant}"
    assert event["resource"]["prefect.resource.name"] == "Plant A"
    assert event["resource"]["itwin.export.format"] == "ifc"
    roles = {related["prefect.resource.role"]: related["prefect.resource.id"] for related in event["related"]}
    assert roles["flow-run"] == f"prefect.flow-run.{said['flow_run']['id']}"
    assert said["named_version"]["name"] == "Issued for review"
    assert (said["changeset_id"], said["run_id"]) == (report.changeset_id, report.run_id)
    assert Path(said["manifest"]).is_file()
    for file in said["files"]:
        content = Path(said["destination"], file["path"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert said["files"]


async def test_nothing_to_do_is_announced_as_skipped(prefect_server: str, exports: Path) -> None:
    """A second flow run finds the tileset there, and says so with its own event."""
    await export_mesh(SEEDED.bridge)
    await export_mesh(SEEDED.bridge)
    published, skipped = events_of(prefect_server, exports, 2)
    assert names_of([published, skipped]) == ["export.published", "export.skipped"]
    assert published["payload"]["tile_count"] == skipped["payload"]["tile_count"] > 0
    assert published["payload"]["flow_run"]["id"] != skipped["payload"]["flow_run"]["id"]


async def test_failures_are_announced(prefect_server: str, exports: Path, sandbox: RunningSandbox) -> None:
    """A failed run, a passed deadline, a run canceled at the platform and a rejected export have an event each."""
    (exports.parent / "rules.toml").write_text("[ifc]\nmin_elements = 1000000\n")
    rules = str(exports.parent / "rules.toml")
    sandbox.state.script(SEEDED.plant, Outcome("Error"), Outcome("Canceled"))
    with pytest.raises(RunFailedError):
        await export_ifc(SEEDED.plant)
    with pytest.raises(RunFailedError):
        await export_ifc(SEEDED.plant)
    with pytest.raises(RejectedError):
        await export_ifc(SEEDED.plant, acceptance=rules)
    sandbox.state.script(SEEDED.bridge, Outcome(seconds=3))
    with pytest.raises(ExportTimeoutError):
        await export_ifc(SEEDED.bridge, timeout_minutes=0.01)
    found = events_of(prefect_server, exports, 4)
    names = ["export.failed", "export.cancelled", "export.rejected", "export.timed-out"]
    assert names_of(found) == names
    assert all(event["payload"]["error"] for event in found)
    assert [event["payload"]["error_type"] for event in found][-1] == "ExportTimeoutError"
    assert found[2]["payload"]["verdict"] == found[2]["resource"]["itwin.export.verdict"] == "rejected"
    assert Path(found[2]["payload"]["manifest"]).is_file()


async def test_a_batch_has_an_event_for_each_export_and_one_at_its_end(
    prefect_server: str, exports: Path, sandbox: RunningSandbox
) -> None:
    """Exports of a batch have events like single ones, from the flow run of the batch, which says when it is over."""
    sandbox.state.script(SEEDED.plant, Outcome("Error"))
    await export_itwin("Campus", imodel_ids=[SEEDED.plant, SEEDED.bridge], fail_when="never")
    found = events_of(prefect_server, exports, 3)
    assert sorted(names_of(found[:2])) == ["export.failed", "export.published"]
    assert names_of(found[2:]) == ["batch.finished"]
    assert len({event["payload"]["flow_run"]["id"] for event in found}) == 1
    labels = [(one["resource"]["itwin.export.origin"], one["resource"]["itwin.export.flow-run"]) for one in found[:2]]
    assert sorted(labels) == [("batch", "completed"), ("batch", "failed")]
    over = found[2]["payload"]
    assert (over["exported"], over["failed"]) == (1, 1)
    assert found[2]["resource"]["prefect.resource.id"] == f"itwin.itwin.{over['itwin_id']}"
    assert over["failures"][0]["imodel_id"] == SEEDED.plant
    assert Path(over["report"]).is_file()
    assert Outbox.of(exports).waiting(1) == []


async def test_a_publication_is_announced_by_whoever_takes_it_up(prefect_server: str, exports: Path) -> None:
    """Killed right after the event, no second one follows; killed right before it, the next flow run emits it."""
    report = await export_ifc(SEEDED.plant)
    events_of(prefect_server, exports, 1)
    file = StateDir.of_imodel(exports, SEEDED.plant).publication("ifc")
    noted = Publication.model_validate_json(file.read_bytes())
    assert noted.is_announced
    file.write_text(noted.model_copy(update={"is_announced": False}).model_dump_json())
    assert (await export_ifc(SEEDED.plant)).skipped
    assert Publication.model_validate_json(file.read_bytes()).is_announced
    killed = Publication(flow_run_id="0" * 36, run_id=report.run_id)
    file.write_text(killed.model_dump_json())
    assert (await export_ifc(SEEDED.plant)).skipped
    found = events_of(prefect_server, exports, 2)
    assert names_of(found) == ["export.published"] * 2
    await export_ifc(SEEDED.plant)
    assert names_of(events_of(prefect_server, exports, 3))[2] == "export.skipped"


async def test_a_cancelled_flow_run_is_announced(prefect_server: str, exports: Path) -> None:
    """Prefect's hook, which may run in another process and twice, emits one event; a crash is no outcome."""
    async with get_client() as client:
        parameters = {"imodel_id": SEEDED.plant, "output_dir": str(exports)}
        flow_run = await client.create_flow_run(export_ifc, parameters=parameters)
    for state in (Crashed(), Cancelled(), Cancelled()):
        await report_detached_run(export_ifc, flow_run, state)
    (event,) = events_of(prefect_server, exports, 1)
    assert event["event"] == "itwin.export.cancelled"
    assert event["payload"]["flow_run"]["id"] == str(flow_run.id)


async def test_an_event_starts_a_deployment(prefect_server: str, exports: Path) -> None:
    """The trigger of the README starts a deployment with what the event says as its parameters."""
    flow = ask("POST", f"{prefect_server}/flows/", {"name": "after-export"})
    made = {"name": "after-export", "flow_id": flow["id"], "enforce_parameter_schema": False}
    deployment_id = UUID(ask("POST", f"{prefect_server}/deployments/", made)["id"])
    example = (
        README.read_text("utf-8").partition("## After the export")[2].partition("```yaml\n")[2].partition("```")[0]
    )
    (described,) = yaml.safe_load(example)["deployments"]
    (trigger,) = [DeploymentEventTrigger.model_validate(one) for one in described["triggers"]]
    trigger.name = "after-export"
    trigger.set_deployment_id(deployment_id)
    async with get_client() as client:
        automation_id = await client.create_automation(trigger.as_automation())
    report = await export_ifc(SEEDED.plant)
    wanted = {"flow_runs": {"deployment_id": {"any_": [str(deployment_id)]}}}
    found = list[dict[str, Any]]()

    def is_started() -> bool:
        started = ask("POST", f"{prefect_server}/flow_runs/filter", wanted)
        found[:] = [run for run in started if str(exports) in run["parameters"]["manifest"]]  # not of other tests
        return bool(found)

    await asyncio.to_thread(until, is_started, "a flow run of the deployment", 60)
    async with get_client() as client:
        await client.delete_automation(automation_id)
    (flow_run,) = found
    assert flow_run["parameters"]["imodel_id"] == report.imodel_id
    assert flow_run["parameters"]["manifest"] == f"{exports}/{SEEDED.plant}/ifc/manifest.json"
