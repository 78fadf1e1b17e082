"""A disk that is full for a while under everything that `make up` starts, and under its exports."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.client import OK, SERVICE_UNAVAILABLE
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.nightly import NIGHTLY, prepared, quick_recovery, start_nightly, up, wait_for_state
from tests.deployments.local.stack import REPOSITORY, LocalMachine, wait_for
from tests.deployments.webhooks.deliveries import SECRET, delivery, signed
from tests.processes.test_full_disk import fill
from tests.processes.test_mounts import IN_A_NAMESPACE

FULL = "is on a full disk. Free some space"


@contextmanager
def small_disk(folder: Path) -> Generator[int]:
    """A file system of 64 MB over the folder, in a namespace of its own that this process keeps alive."""
    mount = f'mount -t tmpfs -o size=64m tmpfs "{folder}"\necho mounted\nexec sleep infinity'
    with subprocess.Popen([*IN_A_NAMESPACE, mount], stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"mounted\n"
        try:
            yield keeper.pid
        finally:
            keeper.kill()


@pytest.fixture
def machine(platform: RunningSandbox, tmp_path: Path) -> Generator[LocalMachine]:
    """Somebody's machine, whose state folder and exports are on one small disk."""
    with small_disk(tmp_path) as keeper:
        enter = ("nsenter", "--preserve-credentials", "--user", "--mount", f"--target={keeper}", f"--wdns={REPOSITORY}")
        webhooks = {"ITWIN_WEBHOOK_SECRET": SECRET.get_secret_value()}
        machine = prepared(tmp_path, platform, enter=enter, root=Path(f"/proc/{keeper}/root"), **webhooks)
        yield machine
        machine.make("down")


def doctor(machine: LocalMachine) -> dict[str, str]:
    """What `doctor` finds wrong."""
    command = [*machine.enter, sys.executable, "-m", "deployments", "doctor", "--json"]
    environment = machine.environment | machine.client_environment | {"PREFECT_HOME": str(machine.state / "client")}
    said = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    findings: list[dict[str, Any]] = json.loads(said.stdout)
    return {finding["what"]: finding["says"] for finding in findings if not finding["is_ok"]}


def deliver(machine: LocalMachine) -> int:
    """The status with which the receiver answers a delivery of the platform."""
    body = delivery()
    return httpx.post(machine.receiver, content=body, headers=signed(body)).status_code


def write_until_refused(machine: LocalMachine) -> None:
    """Let the server use what its database still has; it then refuses what it is told."""
    flow = machine.deployment(NIGHTLY)["flow_id"]
    auth = httpx.BasicAuth(*machine.client_environment["PREFECT_API_AUTH_STRING"].split(":", 1))

    def look() -> bool | None:
        answers = [httpx.post(f"{machine.url}/api/flow_runs/", json={"flow_id": flow}, auth=auth) for _ in range(10)]
        return any(answer.is_server_error for answer in answers) or None

    wait_for(look, "a server that can write nothing")


@pytest.mark.timeout(300)
@pytest.mark.crash
def test_nothing_starts_on_a_full_disk(machine: LocalMachine, tmp_path: Path) -> None:
    """`make up` ends with a sentence that says so and leaves nothing behind; with room again, it works."""
    filler = fill(machine.seen(tmp_path))
    command = [
        *machine.enter,
        sys.executable,
        "-m",
        "deployments.local",
        "up",
        "--port=0",
        f"--state-dir={machine.state}",
    ]
    refused = subprocess.run(
        command, env=machine.environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"The folder {machine.state} {FULL}")
    assert not machine.processes()
    filler.unlink()
    assert "Prefect UI" in machine.make("up", "PORT=0")


@pytest.mark.timeout(500)
@pytest.mark.crash
def test_a_full_disk(machine: LocalMachine, platform: RunningSandbox, tmp_path: Path) -> None:
    """Nothing is published of an export whose disk is full; with room again, the next run publishes its one export run.

    Nothing is started again by hand, and `doctor` and the log of the worker say what is wrong meanwhile.
    """
    platform.state.script(SEEDED.plant, Outcome(seconds=3600))
    running = up(machine)
    cut = start_nightly(running)
    wait_for(lambda: list(platform.state.runs_of(SEEDED.plant)) or None, "an export run")
    filler = fill(machine.seen(tmp_path))
    write_until_refused(running)
    assert deliver(running) == SERVICE_UNAVAILABLE
    assert FULL in doctor(running)["Output folder"]
    platform.state.clock.advance(3600)
    wait_for(lambda: not running.flow_processes() or None, "the end of the flow run's process")
    assert not list(machine.seen(tmp_path / "exports").rglob("ifc/*"))

    filler.unlink()
    assert deliver(running) == OK
    with quick_recovery(running):
        wait_for_state(running, cut, "FAILED", "CRASHED")
    assert wait_for_state(running, start_nightly(running), "CANCELLED", "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
    assert len(list(platform.state.runs_of(SEEDED.plant))) == 1
    assert list(machine.seen(tmp_path / "exports").rglob("ifc/manifest.json"))
    assert "Already up" in machine.make("up")
