"""A Prefect server with its database on disk, a process worker and a lasting `follow-runs`, each of which can die."""

import contextlib
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import psutil

from deployments.local.server_settings import SERVER_SETTINGS
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import IModel
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import ask
from tests.processes.commands import until
from tests.processes.release_schedules import Part
from tests.processes.server import REPOSITORY, PrefectServer

POOL = "released-pool"
PASSWORD = "tests:made-up"
FOLLOW = "import asyncio; from flows.follow_runs import follow_runs; asyncio.run(follow_runs(minutes=600))"
PROCESS_OF = "PREFECT__FLOW_RUN_ID"
LONGEST_UNCLAIMED = 15.0
"""Seconds after which a flow run that is Pending or Running, and has no process, has lost it."""


@dataclass
class ReleasedMachine:
    """Everything but the platform.

    Args:
        folder: The server's database and the homes of the workers.
        sandbox: The platform, which is never killed.
        port: Of the server, each time that it is started.
        limit: Flow runs that the worker executes at once.
        settings: Of every part, over the usual ones.
        names: Of the parts that there are.
    """

    folder: Path
    sandbox: RunningSandbox
    port: int
    limit: int = 3
    settings: dict[str, str] = field(default_factory=dict[str, str])
    names: tuple[str, ...] = ("server", "worker", "follower")
    parts: dict[str, subprocess.Popen[str]] = field(default_factory=dict[str, subprocess.Popen[str]])
    due: dict[str, float] = field(default_factory=dict[str, float])
    """When a part that was killed is started again, by the monotonic clock."""
    homes: int = 0
    starts: int = 0
    deployments: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def home(self) -> Path:
        """What the worker and its flow runs keep on their disk."""
        return self.folder / f"home-{self.homes}"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return ask(method, f"{self.api}{path}", body, PASSWORD)

    def keep_running(self) -> None:
        """Start each part that is not there, as a supervisor does, once it has been away long enough."""
        for name in self.names:
            process = self.parts.get(name)
            if (process is None or process.poll() is not None) and time.monotonic() >= self.due.get(name, 0):
                self.due[name] = time.monotonic() + 2
                self.parts[name] = self._start(name)
                if name == "server":
                    until(self.is_answering, "the Prefect server")

    def is_answering(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        return False

    def kill(self, part: Part, away: float = 0) -> None:
        """SIGKILL; with the worker its flow runs live on, unless they are named too."""
        name = part.partition(" ")[0]
        process = self.parts.get(name)
        self.due[name] = time.monotonic() + away
        if process is not None and process.poll() is None:
            flow_runs = psutil.Process(process.pid).children(recursive=True) if "flow runs" in part else []
            _kill([psutil.Process(process.pid), *flow_runs])
            process.wait()

    def replace_worker(self) -> None:
        """The next worker and follower have an empty disk."""
        self.homes += 1

    def cut_power(self) -> None:
        """SIGKILL of everything at once."""
        running = [psutil.Process(one.pid) for one in self.parts.values() if one.poll() is None]
        _kill(
            [
                *running,
                *(child for one in running for child in one.children(recursive=True)),
                *self.executing().values(),
            ]
        )
        for process in self.parts.values():
            process.wait()

    def executing(self) -> dict[str, psutil.Process]:
        """The processes of flow runs of this machine, by the id of the flow run."""
        found: dict[str, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                if environment.get("PREFECT_API_URL") == self.api and PROCESS_OF in environment:
                    found[environment[PROCESS_OF]] = process
        return found

    def add_imodel(self, name: str) -> IModel:
        """A new iModel with one changeset."""
        return self.sandbox.state.add_imodel(SEEDED.itwin, name, changesets=1, elements=4, tiles=8)

    def start_export(self, kind: str, imodel: IModel, output_dir: Path, while_waiting: str = "release") -> str:
        """A flow run of a deployment, by default one that releases its worker at once; its id."""
        asked = {"imodel_id": imodel.id, "while_waiting": while_waiting, "output_dir": str(output_dir)}
        body = {"parameters": asked, "state": {"type": "SCHEDULED"}}
        return str(self.ask("POST", f"/deployments/{self._deployment_of(kind)}/create_flow_run", body)["id"])

    def states(self, flow_run_id: str) -> list[dict[str, Any]]:
        """All states of a flow run, oldest first."""
        found = self.ask("GET", f"/flow_run_states/?flow_run_id={flow_run_id}")
        return sorted(cast("list[dict[str, Any]]", found), key=lambda state: state["timestamp"])

    def set_state(self, flow_run_id: str, kind: str, name: str) -> None:
        state = {"type": kind, "name": name}
        self.ask("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": kind == "CRASHED"})

    def deploy_follower(self) -> None:
        """The deployment of `follow-runs`; its schedule shows that released exports are followed."""
        flow = self.ask("POST", "/flows/", {"name": "follow-runs"})
        schedule = {"schedule": {"cron": "* * * * *"}, "active": False}
        body = {"name": "every-minute", "flow_id": flow["id"], "schedules": [schedule]}
        self.ask("POST", "/deployments/", body)

    def _deployment_of(self, kind: str) -> str:
        if kind not in self.deployments:
            flow = self.ask("POST", "/flows/", {"name": f"export-{kind}"})
            body = {
                "name": "releasing",
                "flow_id": flow["id"],
                "work_pool_name": POOL,
                "entrypoint": f"flows/export_{kind}.py:export_{kind}",
                "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}],
                "enforce_parameter_schema": False,
            }
            self.deployments[kind] = str(self.ask("POST", "/deployments/", body)["id"])
        return self.deployments[kind]

    def _start(self, name: str) -> subprocess.Popen[str]:
        self.starts += 1
        home = self.folder / "server" if name == "server" else self.home
        home.mkdir(exist_ok=True)
        more = {"server": ["--port", str(self.port)], "worker": ["--limit", str(self.limit)]}.get(name, [])
        arguments, settings = [*COMMANDS[name], *more], self.sandbox.environment | SETTINGS | self.settings
        return PrefectServer(self.api, home).start(arguments, settings, log=f"{name}-{self.starts:03}.log")


COMMANDS = {
    "server": ["-m", "deployments.local.prefect_server"],
    "worker": ["-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"],
    "follower": ["-c", FOLLOW],
}
SETTINGS = SERVER_SETTINGS | {
    "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
    "PREFECT_API_AUTH_STRING": PASSWORD,
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
    "ITWIN_POLL_SECONDS": "1",
    "ITWIN_RELEASE_AFTER_SECONDS": "0",
    "ITWIN_REQUESTS_PER_MINUTE": "60000",
    "ITWIN_PREVIEW": "off",
}


@contextmanager
def running(machine: ReleasedMachine) -> Generator[ReleasedMachine]:
    """It runs, and is gone afterwards."""
    try:
        machine.keep_running()
        until(lambda: _pools(machine), "the worker's pool")
        machine.deploy_follower()
        yield machine
    finally:
        machine.cut_power()


def _pools(machine: ReleasedMachine) -> bool:
    return bool(machine.ask("POST", "/work_pools/filter", {}))


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
