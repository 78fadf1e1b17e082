"""Real processes of the command, a stand-in platform that holds them at a step, and the signal that ends them."""

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import Run
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import ExportReport
from tests.processes.server import PrefectServer

HOUR = 3600.0  # seconds; a run that takes so long is at the platform until its clock is advanced
LONGEST_WAIT = 300.0  # seconds until something that must happen counts as not happening


def until(happened: Callable[[], Any], what: str, timeout: float = LONGEST_WAIT) -> None:
    """Wait until something has happened.

    Raises:
        AssertionError: It does not.
    """
    end = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.002)


def holds(folder: Path, pattern: str, says: str = "") -> bool:
    """Whether a file of this pattern lies in the folder now, which a process is changing meanwhile, and says this."""
    try:
        return any(not says or says in path.read_text() for path in folder.rglob(pattern))
    except FileNotFoundError:  # a folder was removed between being listed and being entered
        return False


@dataclass
class CliSandbox:
    """A Prefect server, a stand-in platform and an empty folder."""

    server: PrefectServer
    sandbox: RunningSandbox
    folder: Path
    commands: list["Command"] = field(default_factory=list["Command"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads to all of them."""
        quick = {
            "ITWIN_OUTPUT_DIR": str(self.folder),
            "ITWIN_POLL_SECONDS": "0.1",
            "ITWIN_POLL_MAX_SECONDS": "0.5",
            "ITWIN_REQUESTS_PER_MINUTE": "60000",
            "ITWIN_TASK_RUNS_PER_SECOND": "40",
            "ITWIN_PREVIEW": "off",
        }
        return self.server.environment | self.sandbox.environment | quick

    def start(self, *arguments: str) -> "Command":
        """Start `itwin-export ifc` of Plant A."""
        return self.launch("ifc", SEEDED.plant, *arguments)

    def launch(self, *arguments: str, **settings: str) -> "Command":
        """Start `itwin-export` with a report as JSON; settings change the environment."""
        return self.begin("-m", "deployments", *arguments, "--json", **settings)

    def begin(self, *arguments: str, **settings: str) -> "Command":
        """Start Python with these arguments; settings change the environment.

        The log goes to a file: a pipe that nobody reads would hold up a long one.
        """
        log = self.folder.with_name(f"command-{len(self.commands)}.log")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environment | settings,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.commands.append(Command(process, log))
        return self.commands[-1]

    def export(self, *arguments: str) -> ExportReport:
        """Run the same command to its end."""
        ended = self.start(*arguments).ended()
        assert ended.exit_code == 0, ended.stderr
        return ExportReport.model_validate_json(ended.stdout)

    def export_twice(self) -> tuple[ExportReport, ExportReport]:
        """Run the same command twice at the same time."""
        first, second = [command.ended() for command in [self.start(), self.start()]]
        assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
        return ExportReport.model_validate_json(first.stdout), ExportReport.model_validate_json(second.stdout)

    def hold(self, path: str, method: str = "GET", **more: Any) -> Fault:
        """Let a request wait so long that whoever sends it can be ended meanwhile."""
        settings: dict[str, Any] = {"delay": 4.0, **more}
        return self.sandbox.state.faults.add(Fault(path=path, method=method, **settings))

    @property
    def runs(self) -> list[Run]:
        return list(self.sandbox.state.runs)

    @property
    def published(self) -> list[Path]:
        """What a reader finds."""
        return sorted(path for path in (self.folder / SEEDED.plant / "ifc").rglob("*") if path.is_file())

    def assert_right(self, report: ExportReport) -> None:
        """One run at the platform, and its very file published whole."""
        (run,) = self.runs
        assert run.output_file_id is not None
        blob = self.sandbox.state.blobs.get("files", run.output_file_id)
        assert blob is not None
        delivered = blob.read()
        (model,) = [file for file in report.files if file.role == "model"]
        on_disk = (Path(report.output_dir) / model.path).read_bytes()
        assert model.sha256 == hashlib.sha256(delivered).hexdigest() == hashlib.sha256(on_disk).hexdigest()
        assert report.run_id == run.id
        assert {path.name for path in self.published} == {
            "content.json",
            "global-ids.bin",
            "manifest.json",
            *(Path(f.path).name for f in report.files),
        }


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class Command:
    """A running command."""

    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        """SIGKILL: nothing in the process is told."""
        process = psutil.Process(self.process.pid)
        for member in [*process.children(recursive=True), process]:
            member.kill()
        self.process.communicate()

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> Ended:
        """Ask the process to end."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self, timeout: float = LONGEST_WAIT) -> Ended:
        """Wait for the end."""
        since = time.monotonic()
        stdout, _ = self.process.communicate(timeout=timeout)
        return Ended(self.process.returncode, stdout, self.log.read_text(), time.monotonic() - since)


def assert_shared(cli_sandbox: CliSandbox, reports: tuple[ExportReport, ExportReport]) -> None:
    """One run at the platform, its files in both reports, and one report that says where they come from."""
    for report in reports:
        cli_sandbox.assert_right(report)
    assert sum(not (report.adopted or report.skipped) for report in reports) == 1


@contextmanager
def running_commands(server: PrefectServer, folder: Path) -> Generator[CliSandbox]:
    """A stand-in platform for commands; whatever command still runs at the end is ended."""
    with running_sandbox(options=Options(run_seconds=0.6)) as sandbox:
        cli_sandbox = CliSandbox(server, sandbox, folder)
        yield cli_sandbox
        for command in cli_sandbox.commands:
            if command.process.poll() is None:
                command.kill()
