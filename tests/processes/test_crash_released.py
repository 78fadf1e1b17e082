"""SIGKILL of the processes behind exports that wait without one, at random moments and all at once."""

import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from deployments.sandbox.server import running_sandbox
from tests.processes.release_schedules import release_schedule_of
from tests.processes.released_exports import (
    ReleasedExport,
    ReleaseScenario,
    start_one_after_the_other,
    until_all_end_well,
)
from tests.processes.released_machine import ReleasedMachine, running
from tests.processes.test_crash_restarts import free_port

WAITING = 50
NEVER = 1e6
AN_HOUR = 3600.0

pytestmark = [pytest.mark.crash, pytest.mark.timeout(4 * 3600)]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Generator[ReleasedMachine]:
    """Server, worker and follower of all tests here."""
    folder = tmp_path_factory.mktemp("machine")
    with running_sandbox() as sandbox, running(ReleasedMachine(folder, sandbox, free_port())) as machine:
        yield machine


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> list[int]:
    """`--seed 7` runs one schedule again, `--seeds 50` runs many."""
    options = vars(request.config.option)
    return list(range(options["seeds"])) if options["seed"] is None else [options["seed"]]


def test_released_exports_survive_kills(machine: ReleasedMachine, seeds: list[int], tmp_path: Path) -> None:
    """After any kills: all exports end well with one remote run each, nothing is resumed twice, nothing told twice."""
    failures: list[str] = []
    for seed in seeds:
        schedule = release_schedule_of(seed)
        try:
            sys.stderr.write(f"{ReleaseScenario(machine, schedule, tmp_path / str(seed)).run()}\n")
        except AssertionError as error:
            failures.append(f"{schedule}\n  {error}")
            sys.stderr.write(f"FAILED {failures[-1]}\n")
    assert not failures, "\n".join(
        [*failures, "again: pytest -m crash tests/processes/test_crash_released.py --seed N"]
    )


def test_released_exports_survive_a_power_cut(tmp_path: Path) -> None:
    """Everything is killed while 50 exports wait; another worker with an empty disk ends all well, without a retry.

    The database survives; of the exports' folders, with the records of runs, every second one does.
    """
    calm = {"ITWIN_POLL_SECONDS": "5", "PREFECT_WORKER_QUERY_SECONDS": "3"}
    with (
        running_sandbox() as sandbox,
        running(ReleasedMachine(tmp_path, sandbox, free_port(), settings=calm)) as machine,
    ):
        folders = [tmp_path / "kept", tmp_path / "lost"]
        exports = [_endless_export(machine, folders[number % 2], number) for number in range(WAITING)]
        start_one_after_the_other(machine, exports, AN_HOUR)
        machine.cut_power()
        machine.replace_worker()
        shutil.rmtree(folders[1])
        for run in sandbox.state.runs:
            run.seconds = 0
        until_all_end_well(machine, exports, longest=AN_HOUR)
        for export in exports:
            export.check()
    assert sum(export.retries for export in exports) == 0


def _endless_export(machine: ReleasedMachine, folder: Path, number: int) -> ReleasedExport:
    """An export whose remote run goes on until the platform is told otherwise."""
    imodel = machine.add_imodel(f"Waiting {number}")
    imodel.run_seconds = NEVER
    return ReleasedExport(machine, "ifc", imodel, folder)
