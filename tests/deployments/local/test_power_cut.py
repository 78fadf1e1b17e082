"""A power cut under `make up`: SIGKILL of everything, `make up` again, and schedules go on."""

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deployments.local.processes import Processes
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.nightly import prepared, quick_recovery, start_nightly, up, wait_for_state
from tests.deployments.local.stack import LocalMachine, wait_for


@pytest.fixture(scope="module")
def platform() -> Generator[RunningSandbox]:
    """A platform that outlives the power cut."""
    with running_sandbox(options=Options(run_seconds=0.3)) as running:
        yield running


@pytest.fixture(scope="module")
def machine(platform: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalMachine]:
    """`make up` of somebody with credentials."""
    machine = prepared(tmp_path_factory.mktemp("machine"), platform)
    yield machine
    machine.make("down")


def cut_power(machine: LocalMachine) -> None:
    """SIGKILL of everything at once."""
    for process in machine.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for(lambda: not machine.processes() or None, "the end of all processes")


@pytest.mark.timeout(1200)
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


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", ["server", "worker"])
@pytest.mark.crash
def test_a_part_that_has_ended_is_started_again(machine: LocalMachine, part: str) -> None:
    """Where the server or the worker alone has died, `make up` starts everything again, and a run completes."""
    machine.make("up", "PORT=0")
    (started,) = [one for one in Processes(machine.state).running() if one.name == part]
    psutil.Process(started.pid).kill()
    again = up(machine)
    assert wait_for_state(again, start_nightly(again), "CANCELLED", "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
