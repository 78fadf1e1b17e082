"""A laptop that sleeps for hours with everything that `make up` started."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.nightly import prepared, start_nightly, up, wait_for_state
from tests.deployments.local.stack import LocalMachine, wait_for

HOURS = timedelta(hours=2)
DUE = timedelta(seconds=30)
"""More than the ten seconds by which a worker is early."""
ENDED = ("CANCELLED", "COMPLETED", "FAILED", "CRASHED")


@pytest.fixture
def machine(platform: RunningSandbox, tmp_path: Path) -> Generator[LocalMachine]:
    """`make up` of somebody with credentials."""
    machine = prepared(tmp_path, platform)
    yield machine
    machine.make("down")


@contextmanager
def asleep(machine: LocalMachine) -> Generator[None]:
    """No process of the machine does anything meanwhile; the server wakes up first and frees the slots."""
    processes = machine.processes()
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        processes.sort(key=is_server, reverse=True)
        processes[0].resume()
        wait_for(lambda: not slots_in_use(machine) or None, "a free slot")
        for process in processes[1:]:
            process.resume()


def is_server(process: psutil.Process) -> bool:
    """Whether it is Prefect's server."""
    return "deployments.local.prefect_server" in process.cmdline()


def slots_in_use(machine: LocalMachine) -> int:
    """How many flow runs of the nightly deployment the server counts."""
    return int(machine.deployment("export-ifc/nightly")["global_concurrency_limit"]["active_slots"])


def let_leases_expire(machine: LocalMachine) -> int:
    """What hours that pass do to the leases of concurrency limits; how many there are."""
    folder = machine.state / "prefect" / "concurrency_leases"
    leases = [file for file in folder.glob("*.json") if file.stem != "expirations"]
    for file in leases:
        lease = json.loads(file.read_text())
        lease["expiration"] = (datetime.fromisoformat(lease["expiration"]) - HOURS).isoformat()
        file.write_text(json.dumps(lease))
    index = folder / "expirations.json"
    moments = {
        key: (datetime.fromisoformat(at) - HOURS).isoformat() for key, at in json.loads(index.read_text()).items()
    }
    index.write_text(json.dumps(moments))
    return len(leases)


@pytest.mark.timeout(600)
@pytest.mark.crash
def test_two_hours_asleep(machine: LocalMachine, platform: RunningSandbox) -> None:
    """A flow run that was going on and one whose time came meanwhile lead to one export run, and later ones go on.

    The server frees the slot of the first before the worker wakes up, so both follow that export run; then the first is
    ended, which no longer has a slot. In the other order the second is cancelled too, and a later one follows the run.
    """
    platform.state.script(SEEDED.plant, Outcome(seconds=1.5 * HOURS.total_seconds()))
    running = up(machine)
    going_on = start_nightly(running)
    wait_for(lambda: list(platform.state.runs_of(SEEDED.plant)) or None, "an export run")
    missed = start_nightly(running, at=datetime.now(UTC) + DUE)
    with asleep(running):
        time.sleep(DUE.total_seconds())
        assert let_leases_expire(running) == 1
        platform.state.clock.advance(HOURS.total_seconds())
    wait_for_state(running, missed, "RUNNING", *ENDED)
    platform.state.clock.advance(HOURS.total_seconds())
    ended = [wait_for_state(running, flow_run, *ENDED) for flow_run in (going_on, missed)]
    assert "COMPLETED" in ended
    wait_for(lambda: not running.flow_processes() or None, "the end of their processes")
    assert wait_for_state(running, start_nightly(running), *ENDED) == "COMPLETED"
    assert len(list(platform.state.runs_of(SEEDED.plant))) == 1
    assert "Already up" in machine.make("up")
