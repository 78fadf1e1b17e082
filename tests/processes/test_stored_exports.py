"""Processes on machines that have nothing in common but a bucket: killed at any step, or two at the same time."""

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.history import KeptExport
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import ExportFormat, ExportReport
from tests.object_stores.destinations import StoreUnderTest, of_azurite
from tests.processes.commands import CliSandbox, Command, running_commands, until
from tests.processes.kill_points import KILL_POINTS, KillPoint
from tests.processes.server import PrefectServer

KEY = f"{SEEDED.plant}/ifc"
STEPS = [point for point in KILL_POINTS if not point.files.startswith("ifc/")]
"""Those at which something on the disk shows the moment are about the work folder; of the store there are others."""


@dataclass
class Machines:
    """Two machines with an empty work folder each, a stand-in platform, and a container in Azurite."""

    commands: CliSandbox
    destination: StoreUnderTest
    number: int = field(default=0)

    @property
    def store(self) -> ObjectStore:
        """What all of them share."""
        return self.destination.open()

    def start(self, chosen: ExportFormat = "ifc") -> Command:
        """Start an export on a new machine."""
        self.number += 1
        settings = {
            "ITWIN_OUTPUT_DIR": self.destination.url,
            "ITWIN_WORK_DIR": str(self.commands.folder / f"machine-{self.number}"),
            "AZURE_STORAGE_CONNECTION_STRING": self.destination.access.connection_string,
        }
        return self.commands.launch(chosen, SEEDED.plant, **settings)

    def assert_right(self, *reports: ExportReport) -> None:
        """One run at the platform, and its very file published whole."""
        (run,) = self.commands.runs
        assert run.output_file_id is not None
        blob = self.commands.sandbox.state.blobs.get("files", run.output_file_id)
        assert blob is not None
        export = StoredExport(self.store, KEY, Path())
        manifest = export.see().manifest
        assert manifest
        export.verify(KeptExport(Path(), manifest), full=True)
        (model,) = [file for file in manifest.files if file.role == "model"]
        assert model.sha256 == hashlib.sha256(blob.read()).hexdigest()
        assert {report.run_id for report in reports} == {run.id} == {manifest.run_id}


@pytest.fixture
def machines(server: PrefectServer, azurite: RunningAzurite, tmp_path: Path) -> Generator[Machines]:
    """Machines that share a place in Azurite."""
    with running_commands(server, tmp_path / "machines") as commands:
        (tmp_path / "machines").mkdir()
        yield Machines(commands, of_azurite(azurite))


def report_of(command: Command) -> ExportReport:
    """The report of a command that succeeds."""
    ended = command.ended()
    assert ended.exit_code == 0, ended.stderr
    return ExportReport.model_validate_json(ended.stdout)


def export_after_kill(machines: Machines, is_there: Callable[[], bool], what: str) -> None:
    """Kill an export at a moment; another machine with an empty disk makes up for it."""
    command = machines.start()
    until(is_there, what)
    command.kill()
    machines.assert_right(report_of(machines.start()))


def test_two_machines_make_one_run(machines: Machines) -> None:
    """At the same time: one remote run, one whole export, and both reports are about it."""
    commands = [machines.start(), machines.start()]
    machines.assert_right(*map(report_of, commands))


def test_a_machine_that_dies_before_its_manifest_is_made_up_for(machines: Machines) -> None:
    """The file is there and its manifest perhaps not: another machine publishes the same run's file whole."""
    export_after_kill(machines, lambda: f"{KEY}/Plant A.ifc" in machines.store.entries(KEY), "the file in the store")


@pytest.mark.crash
@pytest.mark.parametrize("point", STEPS, ids=lambda point: point.name)
def test_a_machine_that_dies_at_any_step_is_made_up_for(machines: Machines, point: KillPoint) -> None:
    """Whenever the process dies, a machine with an empty disk ends with the file of the one run, whole."""
    export_after_kill(machines, point.arm(machines.commands), point.name)


@pytest.mark.crash
@pytest.mark.parametrize("name", ["content.json", "global-ids.bin", "Plant A.log", "manifest.json"])
def test_a_machine_that_dies_while_it_publishes_is_made_up_for(machines: Machines, name: str) -> None:
    """As soon as an object is there, its writer dies; another machine publishes the export whole."""
    export_after_kill(machines, lambda: f"{KEY}/{name}" in machines.store.entries(KEY), f"{name} in the store")


@pytest.mark.crash
@pytest.mark.parametrize("pair", range(20))
def test_twenty_pairs_of_machines_make_one_run_each(machines: Machines, pair: int) -> None:
    """However long the run takes and whoever comes first, two machines share one run."""
    machines.commands.sandbox.state.imodels[SEEDED.plant].run_seconds = 0.1 * pair
    commands = [machines.start(), machines.start()]
    machines.assert_right(*map(report_of, commands))
