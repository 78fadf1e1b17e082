"""A machine that was brought up as a person does it, and questions about it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from deployments.local.processes import MARK
from tests.prefect_api import ask

REPOSITORY = Path(__file__).parents[3]
QUICK_WORKER = {"PREFECT_WORKER_QUERY_SECONDS": "1", "ITWIN_PREVIEW": "off"}
"""A worker that looks for flow runs every second instead of every ten, and whose exports are drawn by nobody."""
Found = TypeVar("Found")
JSON = dict[str, Any]


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what the person who runs the tests has set for themselves."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
    return kept | more


def output_of(command: list[str], environment: dict[str, str], *, timeout: float) -> str:
    """What a command that succeeds in the repository prints."""
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class LocalMachine:
    """What `make up` printed, and where its state lies."""

    state: Path
    environment: dict[str, str]
    printed: str = ""
    enter: tuple[str, ...] = ()
    """The command that runs another one where this machine's disks are mounted."""
    root: Path = Path("/")
    """Where others see the file system of this machine."""

    def make(self, *arguments: str) -> str:
        """Run a target of the Makefile, with the installed packages as they are."""
        quiet = ["--silent", "--assume-old=.venv/.installed", f"--directory={REPOSITORY}"]
        command = [*self.enter, "make", *quiet, *arguments, f"STATE={self.state}"]
        return output_of(command, self.environment, timeout=500)

    def seen(self, path: Path) -> Path:
        """A path of this machine as others see it."""
        return self.root / path.relative_to("/")

    @property
    def url(self) -> str:
        """The UI."""
        return self._printed_after("Prefect UI: ")

    @property
    def sign_in(self) -> str:
        """What the UI asks for."""
        return self._printed_after("Sign in with: ").partition(" ")[0]

    @property
    def sandbox(self) -> str:
        """The stand-in platform."""
        return self._printed_after("Sandbox (no ITWIN_CLIENT_ID is set): ").partition(",")[0]

    @property
    def receiver(self) -> str:
        """Where webhooks go."""
        return self._printed_after("Webhooks are received at ")

    @property
    def notices(self) -> str:
        """The page with the notices of automations."""
        return self._printed_after("Notices of failed exports arrive at ")

    @property
    def client_environment(self) -> dict[str, str]:
        """What client.env tells whoever scripts against this server; a server without one has it in its environment."""
        file = self.seen(self.state) / "client.env"
        if file.exists():
            return dict(line.split("=", 1) for line in file.read_text().splitlines())
        return {name: value for name, value in self.environment.items() if name.startswith("PREFECT_API_")}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the Prefect server answers to somebody with the password."""
        return ask(method, f"{self.url}/api{path}", body, self.client_environment["PREFECT_API_AUTH_STRING"])

    def prefect(self, *arguments: str) -> str:
        """Run Prefect's own command against this server."""
        home = self.client_environment | {"PREFECT_HOME": str(self.state / "client")}
        return output_of([sys.executable, "-m", "prefect", *arguments], self.environment | home, timeout=500)

    def deployment(self, name: str) -> JSON:
        """What the server knows of a deployment."""
        return self.ask("GET", f"/deployments/name/{name}")

    def runs_of(self, name: str) -> list[JSON]:
        """The flow runs of a deployment that are not in the future."""
        body = {
            "deployments": {"id": {"any_": [self.deployment(name)["id"]]}},
            "flow_runs": {"start_time": {"is_null_": False}},
        }
        return self.ask("POST", "/flow_runs/filter", body)

    def finished(self, name: str, imodel_id: str = "") -> JSON:
        """The one run of a deployment (for this iModel), once it has ended."""

        def look() -> JSON | None:
            runs = [run for run in self.runs_of(name) if imodel_id in ("", run["parameters"].get("imodel_id"))]
            return (
                runs[0] if runs and runs[0]["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
            )

        return wait_for(look, f"a run of {name}")

    def control(self, method: str, path: str, body: object = None) -> JSON:
        """What the stand-in platform's control API answers to somebody with its key."""
        key = {"Authorization": f"Bearer {(self.state / 'sandbox.key').read_text()}"}
        answer = httpx.request(method, f"{self.sandbox}/sandbox/{path}", json=body, headers=key, timeout=60)
        return answer.raise_for_status().json()

    def exports_of(self, imodel_id: str) -> list[JSON]:
        """The export runs that the platform was asked for."""
        runs = self.control("GET", "state")["runs"]
        return [run for run in runs if run["imodelId"] == imodel_id]

    def processes(self) -> list[psutil.Process]:
        """Everything that was started for this machine and still runs."""
        return [process for process in psutil.process_iter() if _environment_of(process).get(MARK) == str(self.state)]

    def flow_processes(self) -> list[psutil.Process]:
        """Those in which flow runs are executed."""
        return [process for process in self.processes() if "PREFECT__FLOW_RUN_ID" in _environment_of(process)]

    def _printed_after(self, words: str) -> str:
        (line,) = [line for line in self.printed.splitlines() if line.startswith(words)]
        return line.removeprefix(words)


def wait_for(look: Callable[[], Found | None], what: str) -> Found:
    """Look until there is something; pytest's own limit ends it."""
    deadline = time.monotonic() + 300
    while (found := look()) is None:
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
    return found


def _environment_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}
