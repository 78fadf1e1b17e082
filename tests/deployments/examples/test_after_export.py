"""The example of a step of one's own: from the event of a publication to the file at another place."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import get_client
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from pydantic import SecretStr

import deployments.examples
from blocks.errors import ContentError, InputError
from blocks.storage.export_destination import ExportDestination
from blocks.storage.tileset.verify import verify_tileset
from deployments.examples.after_export import after_export, hand_over
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from tasks.published_files import fetch_published
from tasks.reports import ExportReport
from tests.object_stores.destinations import of_azurite
from tests.prefect_api import ask
from tests.prefect_events import events_of

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]
EXAMPLES = Path(deployments.examples.__path__[0])
RCLONE = """#!/bin/sh
# Copies as rclone does with a folder as its remote; an address of another kind is refused.
[ "$1 $2" = "copyto --checksum" ] || { echo "unknown flags" >&2; exit 1; }
case "$4" in *:*) echo "didn't find section in config file" >&2; exit 1;; esac
mkdir -p "$(dirname "$4")" && cp "$3" "$4"
"""


@pytest.fixture(autouse=True)
def _rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for rclone."""
    program = tmp_path / "bin" / "rclone"
    program.parent.mkdir()
    program.write_text(RCLONE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def manifest_of(report: ExportReport) -> Path:
    return Path(report.output_dir, report.imodel_id, report.format, "manifest.json")


async def test_a_published_file_is_handed_over(prefect_server: str, tmp_path: Path) -> None:
    """With what the trigger of the example takes from the event, the flow copies the very file that was published."""
    report = await export_ifc(SEEDED.bridge)
    (event,) = events_of(prefect_server, report.output_dir, 1)
    payload = event["payload"]
    parameters: dict[str, str] = (await started_by(prefect_server, event["id"]))["parameters"]
    assert parameters == {"imodel_id": SEEDED.bridge, "manifest": payload["manifest"]}
    (copy,) = await after_export(**parameters, target=str(tmp_path / "bim"))
    (model,) = (file for file in report.files if file.role == "model")
    assert Path(copy) == tmp_path / "bim" / SEEDED.bridge / Path(model.path).name
    assert Path(copy).read_bytes() == Path(report.output_dir, model.path).read_bytes()


async def started_by(api: str, event_id: str, **parameters: str) -> dict[str, Any]:
    """The flow run of the example's deployment that its trigger starts for an event.

    Args:
        api: Address of the Prefect server.
        event_id: Of the event.
        parameters: Of the deployment, besides those that the trigger takes from the event.
    """
    (described,) = yaml.safe_load((EXAMPLES / "prefect.yaml").read_text("utf-8"))["deployments"]
    flow = ask("POST", f"{api}/flows/", {"name": "after-export"})
    made = {
        "name": event_id,  # a deployment of its own
        "flow_id": flow["id"],
        "enforce_parameter_schema": False,
        "entrypoint": described["entrypoint"],
        "parameters": parameters,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(EXAMPLES)}}],
    }
    deployment = ask("POST", f"{api}/deployments/", made)["id"]
    (trigger,) = [DeploymentEventTrigger.model_validate(one) for one in described["triggers"]]
    trigger.name = "example"
    trigger.set_deployment_id(UUID(deployment))
    async with get_client() as client:
        automation = await client.create_automation(trigger.as_automation())
    (event,) = ask("POST", f"{api}/events/filter", {"filter": {"id": {"id": [event_id]}}})["events"]
    again = {name: event[name] for name in ("occurred", "event", "resource", "related", "payload")}
    ask("POST", f"{api}/events", [again | {"id": deployment}])
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    found: list[dict[str, Any]] = []
    for _ in range(300):
        found = ask("POST", f"{api}/flow_runs/filter", wanted)
        if found:
            break
        await asyncio.sleep(0.2)
    async with get_client() as client:
        await client.delete_automation(automation)
    return found[0]


async def execute(api: str, flow_run_id: str) -> str:
    """Execute a flow run in a process of its own, as a worker does; the state it ended in, with what it said."""
    command = (sys.executable, "-m", "prefect", "flow-run", "execute", flow_run_id)
    environment = {**os.environ, "PREFECT_API_URL": api}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return f"{ask('GET', f'{api}/flow_runs/{flow_run_id}')['state']['type']} {said.decode()[-2000:]}"


async def test_a_file_in_azure_is_handed_over(
    prefect_server: str, azurite: RunningAzurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event of an export to an az:// destination starts the flow, which copies the very file with its block."""
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    store = of_azurite(azurite)
    connection = SecretStr(store.access.connection_string)
    await ExportDestination(url=store.url, connection_string=connection).asave("example-azure", overwrite=True)
    report = await export_ifc(SEEDED.bridge, destination="example-azure")
    (event,) = events_of(prefect_server, report.output_dir, 1)
    started = await started_by(prefect_server, event["id"], target=str(tmp_path / "bim"), destination="example-azure")
    assert started["parameters"]["manifest"] == f"{store.url}/{SEEDED.bridge}/ifc/manifest.json"
    ended = await execute(prefect_server, started["id"])
    assert ended.startswith("COMPLETED"), ended
    (model,) = (file for file in report.files if file.role == "model")
    copy = tmp_path / "bim" / SEEDED.bridge / Path(model.path).name
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == model.sha256
    assert azurite.key not in f"{event}{ended}"


async def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A file that is not what the manifest describes is handed to nobody."""
    report = await export_ifc(SEEDED.bridge)
    (model,) = (Path(report.output_dir, file.path) for file in report.files if file.role == "model")
    model.write_bytes(model.read_bytes().replace(b"IFC", b"IFX", 1))
    with pytest.raises(ContentError, match="not the file that the manifest describes"):
        await fetch_published(str(manifest_of(report)), tmp_path)
    assert not (tmp_path / model.name).exists()


async def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    """An address that is none of a manifest, or where there is none any more, is an error that says so."""
    with pytest.raises(InputError, match=r"payload\.manifest"):
        await fetch_published(str(tmp_path), tmp_path)
    with pytest.raises(InputError, match="may have been removed"):
        await fetch_published(str(tmp_path / "manifest.json"), tmp_path)


async def test_a_whole_tileset_is_fetched(tmp_path: Path) -> None:
    """With the roles of tiles the function fetches a tileset with its folders."""
    report = await export_mesh(SEEDED.bridge)
    place = tmp_path / "fetched"
    place.mkdir()
    await fetch_published(str(manifest_of(report)), place, roles={"tileset", "tile"})
    assert verify_tileset(place).content.tiles == report.tile_count


async def test_rclone_says_why_it_fails(tmp_path: Path) -> None:
    """If rclone refuses, the step fails with what it said."""
    (tmp_path / "a.ifc").touch()
    with pytest.raises(RuntimeError, match="didn't find section"):
        await hand_over.fn(tmp_path / "a.ifc", "nowhere:a.ifc")
