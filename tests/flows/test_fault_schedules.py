"""Whole exports under generated faults: one run of ours, never a file of another run, never a partial one."""

import asyncio
from pathlib import Path

import pytest

from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.export_destination import ExportDestination
from deployments.sandbox.azurite import RunningAzurite
from tests.flows.fault_scenarios import run_scenario
from tests.flows.fault_schedules import schedule_of
from tests.flows.scenario_outputs import Place, scenario_output

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

AT_ONCE = 10


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> list[int]:
    """`--seed 7` runs one schedule again, `--seeds 200` runs many."""
    options = vars(request.config.option)
    return list(range(options["seeds"])) if options["seed"] is None else [options["seed"]]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", ["folder", "store"])
async def test_exports_survive_generated_faults(
    place: Place, seeds: list[int], azurite: RunningAzurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any faults: at most one run of ours, whole files of the right run or none, all ends told, no secrets.

    It is the same in object stores that fail at times, from machines that lose their disks in between.
    """
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    for name, value in {"POLL_SECONDS": "0.1", "POLL_MAX_SECONDS": "0.5", "REQUESTS_PER_MINUTE": "60000"}.items():
        monkeypatch.setenv(f"ITWIN_{name}", value)
    await ItwinCredentials.aregister_type_and_schema()
    await ExportDestination.aregister_type_and_schema()
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(seed: int) -> str:
        async with slots:
            with scenario_output(place, seed, tmp_path / str(seed), azurite) as output:
                return await run_scenario(schedule_of(seed), output)

    failures = [failure for failure in await asyncio.gather(*map(run, seeds)) if failure]
    assert not failures, "\n".join([*failures, "again: pytest tests/flows/test_fault_schedules.py --seed N"])
