"""A real process worker, and flow runs that it executes."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import psutil
from prefect.client.orchestration import PrefectClient

from deployments.sandbox.state.seed import SEEDED
from tasks.reports import ExportReport
from tests.prefect_api import ask
from tests.processes.commands import LONGEST_WAIT, CliSandbox, until
from tests.processes.kill_points import KillPoint
from tests.processes.server import REPOSITORY, PrefectServer

POOL = "crash-pool"


@dataclass(frozen=True)
class Worker:
    """A worker of the session's server with one deployment of the export."""

    api: str
    keeper: psutil.Process
    """What starts Prefect's worker again when it ends."""
    deployment_id: str

    @property
    def process(self) -> psutil.Process:
        """The process of Prefect's worker; each flow run is a child process of it."""
        (process,) = self.keeper.children()
        return process

    def start(self, cli_sandbox: CliSandbox) -> "FlowRun":
        """Ask for an export of Plant A, as the UI does."""
        asked = {
            "parameters": {"imodel_id": SEEDED.plant, "output_dir": str(cli_sandbox.folder)},
            "job_variables": {"env": cli_sandbox.environment},
            "state": {"type": "SCHEDULED"},
        }
        made = ask("POST", f"{self.api}/deployments/{self.deployment_id}/create_flow_run", asked)
        return FlowRun(self, made["id"])

    def kill_at_and_retry(self, point: KillPoint, cli_sandbox: CliSandbox) -> None:
        """Start an export, kill its process at this moment, and retry it once it is known to have crashed."""
        is_there = point.arm(cli_sandbox)
        flow_run = self.start(cli_sandbox)
        until(is_there, point.name)
        self._kill_flow()
        assert flow_run.settled() == "CRASHED"
        flow_run.retry()
        state = flow_run.settled()
        assert state == "COMPLETED", f"{state}: {flow_run.logs()}"

    def _kill_flow(self) -> None:
        """SIGKILL whatever the worker runs; the worker lives."""
        for child in self.process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@dataclass(frozen=True)
class FlowRun:
    """A flow run under a worker."""

    worker: Worker
    id: str

    def settled(self) -> str:
        """The type of the state it ends in, once nothing works on it any more."""
        end = time.monotonic() + LONGEST_WAIT
        while True:
            state = self.state
            if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} and not self.worker.process.children():
                return state
            assert time.monotonic() < end, f"the flow run stays in {state}"
            time.sleep(0.1)

    @property
    def state(self) -> str:
        return ask("GET", f"{self.worker.api}/flow_runs/{self.id}")["state_type"]

    def retry(self) -> None:
        """What the button in the UI does."""
        self._set({"type": "SCHEDULED", "name": "AwaitingRetry"})

    def cancel(self) -> None:
        """What the button in the UI and `prefect flow-run cancel` do."""
        self._set({"type": "CANCELLING"})

    def _set(self, state: dict[str, str]) -> None:
        ask("POST", f"{self.worker.api}/flow_runs/{self.id}/set_state", {"state": state})

    def artifacts(self) -> str:
        """What its artifacts say."""
        asked = {"artifacts": {"flow_run_id": {"any_": [self.id]}}}
        return " ".join(str(found["data"]) for found in ask("POST", f"{self.worker.api}/artifacts/filter", asked))

    def logs(self) -> str:
        """What its log says, once it has arrived."""
        asked = {"logs": {"flow_run_id": {"any_": [self.id]}}, "limit": 200}
        return " ".join(line["message"] for line in ask("POST", f"{self.worker.api}/logs/filter", asked))


def last_report(cli_sandbox: CliSandbox) -> ExportReport:
    """The report an export would give for what lies in the folder: told by the command, which finds it there."""
    report = cli_sandbox.export()
    assert report.skipped
    return report


@contextmanager
def worker_process(
    server: PrefectServer, pool: str, *, query_seconds: float = 1, module: str = "deployments.worker"
) -> Generator[subprocess.Popen[str]]:
    """A worker, started as a script starts something in the background: with interrupts ignored."""
    arguments = ["-m", module, "--pool", pool, "--type", "process"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        query = {"PREFECT_WORKER_QUERY_SECONDS": str(query_seconds)}
        process = server.start(arguments, query, log=f"{pool}-worker.log")
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        everything = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        process.kill()
        for each in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@contextmanager
def running_worker(
    server: PrefectServer, *, query_seconds: float = 1, module: str = "deployments.worker"
) -> Generator[Worker]:
    """A worker and its deployment."""
    ask("POST", f"{server.url}/work_pools/", {"name": POOL, "type": "process"})
    flow = ask("POST", f"{server.url}/flows/", {"name": "export-ifc"})
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}
    deployment = ask(
        "POST",
        f"{server.url}/deployments/",
        {
            "name": "crashing",
            "flow_id": flow["id"],
            "work_pool_name": POOL,
            "entrypoint": "flows/export_ifc.py:export_ifc",
            "pull_steps": [step],
            "enforce_parameter_schema": False,
        },
    )
    with worker_process(server, POOL, query_seconds=query_seconds, module=module) as process:
        until(lambda: psutil.Process(process.pid).children(), "the worker's process")
        yield Worker(server.url, psutil.Process(process.pid), cast("str", deployment["id"]))


@contextmanager
def running_prefect_worker(server: PrefectServer, pool: str) -> Generator[psutil.Process]:
    """Prefect's own process worker, which looks for flow runs every second."""
    arguments = ["-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    worker = server.start(arguments, {"PREFECT_WORKER_QUERY_SECONDS": "1"}, log=f"{pool}.log")
    try:
        yield psutil.Process(worker.pid)
    finally:
        worker.terminate()
        worker.wait(timeout=120)


async def settled_state(client: PrefectClient, run_id: UUID, worker: psutil.Process) -> str:
    """The name of the state in which a flow run stays, once its process is gone."""
    while True:
        state = (await client.read_flow_run(run_id)).state
        if state and (state.is_final() or state.is_paused()) and not worker.children(recursive=True):
            return str(state.name)
        await asyncio.sleep(0.3)
