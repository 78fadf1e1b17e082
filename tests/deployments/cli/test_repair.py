"""`itwin-export doctor --repair` clears away what keeps schedules from running."""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from deployments.cli.app import run
from tests.prefect_api import ask, end_leftovers


def examine(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """The findings by name."""
    run(["doctor", "--json", *arguments])
    return {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)}


@dataclass(frozen=True)
class Nightly:
    """A deployment of the export with one slot, without any worker."""

    api: str
    id: str

    def start(self, state: str) -> str:
        """A flow run that a worker would have brought to this state; its id."""
        made = ask("POST", f"{self.api}/deployments/{self.id}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        for step in ("PENDING", "RUNNING"):
            ask("POST", f"{self.api}/flow_runs/{made['id']}/set_state", {"state": {"type": step}})
            if step == state:
                break
        return made["id"]

    def set_process(self, flow_run_id: str, pid: int) -> None:
        """What a worker tells once it has started the process of a flow run."""
        ask("PATCH", f"{self.api}/flow_runs/{flow_run_id}", {"infrastructure_pid": str(pid)})

    def state_of(self, flow_run_id: str) -> str:
        """The type of a flow run's state."""
        return ask("GET", f"{self.api}/flow_runs/{flow_run_id}")["state_type"]

    @property
    def taken(self) -> float:
        """Slots that its limit counts."""
        return ask("GET", f"{self.api}/deployments/{self.id}")["global_concurrency_limit"]["active_slots"]

    def take_slot(self) -> None:
        """What a server leaves whose leases were in memory."""
        limit = ask("GET", f"{self.api}/deployments/{self.id}")["global_concurrency_limit"]["id"]
        ask("PATCH", f"{self.api}/v2/concurrency_limits/{limit}", {"active_slots": 1})


@pytest.fixture
def nightly(prefect_server: str) -> Nightly:
    """It, on the session's server, whose other flow runs have ended."""
    end_leftovers(prefect_server)
    flow = ask("POST", f"{prefect_server}/flows/", {"name": "export-ifc"})["id"]
    asked = {"name": f"nightly-{uuid.uuid4()}", "flow_id": flow, "concurrency_limit": 1}
    return Nightly(prefect_server, ask("POST", f"{prefect_server}/deployments/", asked)["id"])


def an_hour_ago(flow_run_id: str) -> None:
    """Let a flow run have entered its state an hour ago."""
    path = str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(":///")[2]
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        change = (
            "UPDATE flow_run_state SET timestamp = strftime('%Y-%m-%d %H:%M:%f000', timestamp, '-1 hour') "
            "WHERE flow_run_id = ?"
        )
        assert database.execute(change, [flow_run_id]).rowcount


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_a_cut_flow_run_is_found_and_marked(nightly: Nightly, capsys: pytest.CaptureFixture[str], state: str) -> None:
    """A flow run that has been silent for an hour is named; --repair marks it as Crashed, which frees its slot."""
    flow_run_id = nightly.start(state)
    an_hour_ago(flow_run_id)
    found = examine(capsys)["Flow runs"]
    assert (found["is_ok"], nightly.state_of(flow_run_id), nightly.taken) == (False, state, 1)
    assert "doctor --repair" in found["says"]
    repaired = examine(capsys, "--repair")
    assert (nightly.state_of(flow_run_id), nightly.taken) == ("CRASHED", 0)
    assert repaired["Flow runs"]["is_ok"]
    assert repaired["Slots"]["is_ok"]


@pytest.mark.usefixtures("sandbox")
def test_a_flow_run_that_has_just_started_is_left_alone(nightly: Nightly, capsys: pytest.CaptureFixture[str]) -> None:
    """--repair touches neither a flow run that may well be alive nor its slot."""
    flow_run_id = nightly.start("RUNNING")
    findings = examine(capsys, "--repair")
    assert (nightly.state_of(flow_run_id), nightly.taken) == ("RUNNING", 1)
    assert findings["Flow runs"]["is_ok"]
    assert findings["Slots"]["is_ok"]


@pytest.mark.usefixtures("sandbox")
def test_a_flow_run_with_a_process_is_left_alone(nightly: Nightly, capsys: pytest.CaptureFixture[str]) -> None:
    """After hours without a heartbeat, as a machine that slept leaves them, a run whose process lives is not marked."""
    flow_run_id = nightly.start("RUNNING")
    an_hour_ago(flow_run_id)
    waiting = [sys.executable, "-c", "input()"]
    environment = os.environ | {"PREFECT__FLOW_RUN_ID": flow_run_id}
    with subprocess.Popen(waiting, env=environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        nightly.set_process(flow_run_id, process.pid)
        assert examine(capsys, "--repair")["Flow runs"]["is_ok"]
        assert (nightly.state_of(flow_run_id), nightly.taken) == ("RUNNING", 1)
    examine(capsys, "--repair")
    assert nightly.state_of(flow_run_id) == "CRASHED"


@pytest.mark.usefixtures("sandbox")
def test_a_slot_that_no_flow_run_holds_is_found_and_freed(nightly: Nightly, capsys: pytest.CaptureFixture[str]) -> None:
    """A slot without a flow run is named with its limit; --repair frees it."""
    nightly.take_slot()
    found = examine(capsys)["Slots"]
    assert not found["is_ok"]
    assert "1 taken, 0 held by a flow run" in found["says"].replace(".0", "")
    examine(capsys, "--repair")
    assert nightly.taken == 0


@pytest.mark.usefixtures("sandbox")
def test_the_lease_storage_is_told(nightly: Nightly, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the server keeps leases is said."""
    assert nightly.taken == 0
    assert "lease_storage.filesystem" in examine(capsys)["Lease storage"]["says"]
