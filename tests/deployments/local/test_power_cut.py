"""A power cut under `make up`: SIGKILL of everything, `make up` again, and schedules go on."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deployments.local.processes import Processes
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.stack import QUICK_WORKER, REPOSITORY, LocalMachine, clean_environment, wait_for
from tests.prefect_database import add_database

NIGHTLY = "export-ifc/nightly"


@pytest.fixture(scope="module")
def platform() -> Generator[RunningSandbox]:
    """A platform that outlives the power cut."""
    with running_sandbox(options=Options(run_seconds=0.3)) as running:
        yield running


@pytest.fixture(scope="module")
def machine(platform: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalMachine]:
    """`make up` of somebody with credentials."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "state" / "prefect").mkdir(parents=True)
    add_database(folder / "state" / "prefect")
    nightly = {"ITWIN_NIGHTLY_IMODEL_ID": SEEDED.plant, "ITWIN_NIGHTLY_ITWIN_ID": "", "ITWIN_WATCH_ITWIN_ID": ""}
    quick = {"ITWIN_POLL_SECONDS": "0.5", "ITWIN_OUTPUT_DIR": str(folder / "exports")} | QUICK_WORKER
    machine = LocalMachine(folder / "state", clean_environment(**platform.environment, **nightly, **quick))
    yield machine
    machine.make("down")


def up(machine: LocalMachine) -> LocalMachine:
    """`make up`, with schedules that do not start by the clock on the wall."""
    running = replace(machine, printed=machine.make("up", "PORT=0"))
    for name in ("watch-imodels/every-ten-minutes", NIGHTLY, "export-itwin/nightly"):
        deployment = running.deployment(name)
        for schedule in deployment["schedules"]:
            path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
            running.ask("PATCH", path, {"active": False})
    return running


def start_nightly(machine: LocalMachine) -> str:
    """A flow run of the nightly deployment, as its schedule makes one; its id."""
    deployment = machine.deployment(NIGHTLY)["id"]
    path = f"/deployments/{deployment}/create_flow_run"
    return machine.ask("POST", path, {"state": {"type": "SCHEDULED"}})["id"]


def wait_for_state(machine: LocalMachine, flow_run_id: str, *states: str) -> str:
    """The state of a flow run, once it is one of these."""

    def look() -> str | None:
        state = machine.ask("GET", f"/flow_runs/{flow_run_id}")["state_type"]
        return state if state in states else None

    return wait_for(look, f"{flow_run_id} to be {' or '.join(states)}")


def cut_power(machine: LocalMachine) -> None:
    """SIGKILL of everything at once."""
    for process in machine.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for(lambda: not machine.processes() or None, "the end of all processes")


@contextmanager
def quick_recovery(machine: LocalMachine) -> Generator[None]:
    """The service that `make up` starts, with shorter times, so that a test need not wait."""
    seconds = {"interval": 1, "heartbeat": 1, "leeway": 2, "longest-heartbeat": 1}
    quick = [f"--{name}-seconds={value}" for name, value in seconds.items()]
    environment = machine.environment | machine.client_environment
    command = [sys.executable, "-m", "deployments.recovery", *quick]
    with subprocess.Popen(command, env=environment, cwd=REPOSITORY) as service:
        try:
            yield
        finally:
            service.terminate()


@pytest.mark.timeout(400)
def test_schedules_go_on_after_a_power_cut(machine: LocalMachine, platform: RunningSandbox) -> None:
    """The cut run is marked as Crashed, its slot is free, and the next run picks its export run up."""
    platform.state.script(SEEDED.plant, Outcome(seconds=3600))
    before = up(machine)
    assert "recovery" in {Path(log).stem for log in machine.state.glob("*.log")}
    cut = start_nightly(before)
    wait_for(lambda: list(platform.state.runs_of(SEEDED.plant)) or None, "an export run")
    cut_power(before)

    after = up(machine)
    assert wait_for_state(after, cut, "RUNNING", "PENDING")
    assert wait_for_state(after, start_nightly(after), "CANCELLED", "COMPLETED") == "CANCELLED"  # the slot is taken
    with quick_recovery(after):
        wait_for_state(after, cut, "CRASHED")
    platform.state.clock.advance(3600)
    assert wait_for_state(after, start_nightly(after), "CANCELLED", "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
    assert len(list(platform.state.runs_of(SEEDED.plant))) == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", ["server", "worker"])
@pytest.mark.crash
def test_a_part_that_has_ended_is_started_again(machine: LocalMachine, part: str) -> None:
    """Where the server or the worker alone has died, `make up` starts everything again, and a run completes."""
    machine.make("up", "PORT=0")
    (started,) = [one for one in Processes(machine.state).running() if one.name == part]
    psutil.Process(started.pid).kill()
    again = up(machine)
    assert wait_for_state(again, start_nightly(again), "CANCELLED", "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
