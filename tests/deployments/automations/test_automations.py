"""Automations from a file, on a real Prefect server, with a receiver of notices on loopback."""

import asyncio
import json
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect import Flow, get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.webhook import Webhook
from prefect.flow_engine import run_flow_async
from pydantic import SecretStr

from blocks.errors import BatchFailedError
from deployments.automations.automation_file import OWN_FILE
from deployments.cli.app import run
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from tests.deployments.automations.receiver import Receiver
from tests.prefect_api import ask

Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Where notices and webhooks arrive."""
    with Receiver() as running:
        yield running


@pytest.fixture
def notices(prefect_server: str, receiver: Receiver) -> Receiver:
    """A receiver that the saved block `itwin-notices` calls."""
    assert prefect_server
    message = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="n", url=receiver.url, json_data=message, headers=None, cookies=None)
    block.save("itwin-notices", overwrite=True)
    return receiver


@pytest.fixture
def rows(capsys: pytest.CaptureFixture[str]) -> Generator[Rows]:
    """What a command prints with --json; the automations are removed afterwards."""

    def read(*arguments: str) -> list[dict[str, Any]]:
        code = run(["automations", *arguments, "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    yield read
    run(["automations", "remove"])


def statuses(found: list[dict[str, Any]]) -> set[str]:
    return {one["status"] for one in found}


def test_applying_twice_changes_nothing(rows: Rows, notices: Receiver) -> None:
    """What is absent is created once; applied again, nothing changes; removed, nothing is left."""
    assert notices
    assert statuses(rows("show")) == {"absent"}
    assert statuses(rows("apply")) == {"created"}
    assert statuses(rows("show")) == {"as described"}
    assert statuses(rows("apply")) == {"as described"}
    assert statuses(rows("remove")) == {"removed"}
    assert statuses(rows("remove")) == {"absent"}


def test_what_a_person_changed_is_shown_and_put_right(rows: Rows, notices: Receiver, prefect_server: str) -> None:
    """Another text is a difference that apply corrects; an automation that was paused stays paused."""
    assert notices
    rows("apply")
    automation = ask("POST", f"{prefect_server}/automations/filter", {})[0]
    automation["actions"][0]["subject"] = "Another text"
    changed = {name: automation[name] for name in ("name", "description", "trigger", "actions")}
    ask("PUT", f"{prefect_server}/automations/{automation['id']}", changed | {"enabled": False})
    assert statuses(rows("show")) == {"as described", "different"}
    applied = {one["name"]: one for one in rows("apply")}
    assert applied[automation["name"]] == {"name": automation["name"], "status": "updated", "enabled": False}
    assert statuses(rows("show")) == {"as described"}


def test_a_block_that_is_not_saved_is_named(prefect_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the block nothing is created, and the message says what to save."""
    before = ask("POST", f"{prefect_server}/automations/filter", {})
    assert run(["automations", "apply", "--notify", "slack-webhook/nobody"]) == 2
    assert "No notification block “slack-webhook/nobody” is saved" in capsys.readouterr().err
    assert ask("POST", f"{prefect_server}/automations/filter", {}) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("automations: [", "no valid YAML"),
        ("automations: 1", "automations: Input should be"),
        ("automations: [{name: a, trigger: {type: event}}]", "automations.0.actions: Field required"),
        ("automations: [{name: a, trigger: {}, actions: [{type: x}], wehn: 1}]", "automations.0.wehn"),
        ("automations: [{name: a, trigger: {}, actions: [{type: x}]}]", "does not accept the automation “a”"),
        (
            "automations: [{name: a, trigger: {type: event}, actions: [{type: run-deployment, deployment: a/b}]}]",
            "“a/b”",
        ),
    ],
)
def test_a_faulty_file_is_refused(
    prefect_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """What is wrong with a file is said with its place, and nothing is created."""
    assert prefect_server
    (tmp_path / "a.yaml").write_text(text)
    assert run(["automations", "apply", str(tmp_path / "a.yaml")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("sandbox")
def test_fifty_failures_are_one_notice(
    rows: Rows, notices: Receiver, sandbox: RunningSandbox, prefect_server: str
) -> None:
    """A batch of which fifty exports fail leads to one notice with their number and the first reason."""
    rows("apply")
    itwin = sandbox.state.add_itwin("Site")
    for number in range(50):
        sandbox.state.add_imodel(itwin.id, f"Part {number}")
    sandbox.state.faults.add(Fault(path="/changesets", status=403, code="InsufficientPermissions", count=None))
    flow_run = deployed(prefect_server, "export-itwin")
    with pytest.raises(BatchFailedError):
        asyncio.run(run_as(export_itwin, flow_run, itwin.id))
    (notice,) = notices.arrived(1)
    assert notice["subject"] == "export-itwin/nightly: Failed"
    assert "50 failed" in notice["body"]
    assert "InsufficientPermissions" in notice["body"]
    assert flow_run in notice["body"]
    time.sleep(3)
    assert len(notices.arrived(1)) == 1


async def run_as(flow: Flow[..., Any], flow_run_id: str, itwin_id: str) -> None:
    """Run a flow in a flow run that is there already, as a worker does."""
    async with get_client() as client:
        flow_run = await client.read_flow_run(UUID(flow_run_id))
    await run_flow_async(flow, flow_run=flow_run, parameters={"itwin_id": itwin_id})


def deployed(api: str, flow_name: str) -> str:
    """A flow run of a deployment, as its schedule makes one; its id."""
    flow = ask("POST", f"{api}/flows/", {"name": flow_name})
    made = {"name": "nightly", "flow_id": flow["id"], "enforce_parameter_schema": False}
    deployment = ask("POST", f"{api}/deployments/", made)["id"]
    return ask("POST", f"{api}/deployments/{deployment}/create_flow_run", {"state": {"type": "PENDING"}})["id"]


def test_a_crashed_flow_run_is_told(rows: Rows, notices: Receiver, prefect_server: str) -> None:
    """A flow run that is marked as Crashed, as deployments.recovery does, leads to one notice with its message."""
    rows("apply")
    flow_run = deployed(prefect_server, "export-mesh")
    state = {"type": "CRASHED", "name": "Crashed", "message": "No heartbeat: its process has gone."}
    ask("POST", f"{prefect_server}/flow_runs/{flow_run}/set_state", {"state": state, "force": True})
    (notice,) = notices.arrived(1)
    assert notice["subject"] == "export-mesh/nightly: Crashed"
    assert "its process has gone" in notice["body"]


@pytest.mark.usefixtures("sandbox")
def test_an_export_that_was_put_aside_is_told(rows: Rows, notices: Receiver, tmp_path: Path) -> None:
    """An export that is put aside while its flow run completes leads to one notice with the place of its manifest."""
    rules = tmp_path / "rules.toml"
    rules.write_text('on_rejected = "quarantine"\n[ifc]\nmin_elements = 1000000\n')
    rows("apply")
    report = asyncio.run(export_ifc(SEEDED.bridge, acceptance=str(rules)))
    assert report.verdict == "rejected"
    (notice,) = notices.arrived(1)
    assert notice["subject"] == "Rejected: Bridge (ifc)"
    assert f"{report.output_dir}/{SEEDED.bridge}/ifc/rejected/" in notice["body"]


def test_a_run_that_does_not_start_is_told(rows: Rows, notices: Receiver, prefect_server: str, tmp_path: Path) -> None:
    """A flow run that was late and does not start leads to one notice; one that was late and starts then, to none."""
    text = OWN_FILE.read_text("utf-8").replace("within: 900", "within: 10")
    (tmp_path / "quick.yaml").write_text(text)
    rows("apply", str(tmp_path / "quick.yaml"))
    waiting, started = (deployed(prefect_server, "export-ifc") for _ in range(2))
    events = [(waiting, "Late"), (started, "Late"), (started, "Pending")]
    ask("POST", f"{prefect_server}/events", [event_of(prefect_server, *event) for event in events])
    (notice,) = notices.arrived(1)
    assert notice["subject"] == "export-ifc/nightly has not started"
    assert waiting in notice["body"]
    assert "itwin-export doctor" in notice["body"]
    time.sleep(6)
    assert len(notices.arrived(1)) == 1


def event_of(api: str, flow_run_id: str, state: str) -> dict[str, Any]:
    """The event of a server about a state of a flow run."""
    flow_run = ask("GET", f"{api}/flow_runs/{flow_run_id}")
    related = [
        (f"prefect.flow.{flow_run['flow_id']}", "flow", "export-ifc"),
        (f"prefect.deployment.{flow_run['deployment_id']}", "deployment", "nightly"),
    ]
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": f"prefect.flow-run.{state}",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{flow_run_id}"},
        "related": [
            {"prefect.resource.id": key, "prefect.resource.role": role, "prefect.resource.name": name}
            for key, role, name in related
        ],
    }


@pytest.mark.usefixtures("sandbox")
def test_the_examples_of_the_file(rows: Rows, receiver: Receiver, tmp_path: Path, prefect_server: str) -> None:
    """The examples in its comments, without their marks, call a webhook and start a deployment for a published file."""
    examples = OWN_FILE.read_text("utf-8").partition("my-automations.yaml):\n#\n")[2].replace("#", "", 1)
    text = "automations:\n" + "\n".join(line.removeprefix("#") for line in examples.splitlines())
    (tmp_path / "mine.yaml").write_text(text)
    assert len(yaml.safe_load(text)["automations"]) == 2
    Webhook(url=SecretStr(receiver.url)).save("our-system", overwrite=True)
    flow = ask("POST", f"{prefect_server}/flows/", {"name": "after-export"})
    made = {"name": "after-export", "flow_id": flow["id"], "enforce_parameter_schema": False}
    deployment = ask("POST", f"{prefect_server}/deployments/", made)["id"]
    assert statuses(rows("apply", str(tmp_path / "mine.yaml"))) == {"created"}
    report = asyncio.run(export_ifc(SEEDED.bridge))
    (called,) = receiver.arrived(1)
    manifest = Path(report.output_dir, SEEDED.bridge, "ifc", "manifest.json")
    assert called == {"imodel": SEEDED.bridge, "manifest": str(manifest)}
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    end = time.monotonic() + 60
    while not (started := ask("POST", f"{prefect_server}/flow_runs/filter", wanted)) and time.monotonic() < end:
        time.sleep(0.2)
    assert [one["parameters"]["imodel_id"] for one in started] == [SEEDED.bridge]
    rows("remove", str(tmp_path / "mine.yaml"))
