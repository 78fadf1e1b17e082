"""A disk that is full for a while under a Prefect server and its worker."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.local.waiting import free_port
from tests.prefect_api import ask
from tests.processes.commands import CliSandbox, until
from tests.processes.server import PrefectServer
from tests.processes.test_mounts import IN_A_NAMESPACE
from tests.processes.workers import running_worker


@contextmanager
def server_on_a_small_disk(folder: Path) -> Generator[tuple[PrefectServer, Path]]:
    """A Prefect server with its home on a file system of 16 MB of its own, and that file system as others see it."""
    server = PrefectServer(f"http://127.0.0.1:{free_port(0)}/api", folder)
    serve = [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--port", server.url.split(":")[2][:-4]]
    command = [*IN_A_NAMESPACE, f'mount -t tmpfs -o size=16m tmpfs "{folder}"\nexec "$@"', "sh", *serve]
    with (folder.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(command, env=server.environment, stdout=log, stderr=log)
    try:
        until(lambda: is_healthy(server), "the server")
        yield server, Path(f"/proc/{process.pid}/root{folder}")
    finally:
        for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            each.kill()
        process.wait()


def is_healthy(server: PrefectServer) -> bool:
    """Whether the server answers."""
    with suppress(httpx.HTTPError):
        return httpx.get(f"{server.url}/health", timeout=60).is_success
    return False


def fill(disk: Path) -> Path:
    """Take all the space there is; the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(os.urandom(1024))
    return filler


@pytest.mark.timeout(900)
@pytest.mark.crash
def test_schedules_go_on_after_a_full_disk(cli_sandbox: CliSandbox, tmp_path: Path) -> None:
    """A server that could write nothing for a while, and a worker that ended meanwhile, export once there is space."""
    home = tmp_path / "home"
    home.mkdir()
    with (
        server_on_a_small_disk(home) as (server, disk),
        running_worker(server, query_seconds=0.2, module="tests.processes.lasting_worker") as worker,
    ):
        first = worker.process
        until(lambda: ask("POST", f"{server.url}/work_pools/crash-pool/workers/filter", {}), "the worker")
        filler = fill(disk)
        until(lambda: cannot_write(server), "a server that can write nothing")
        first.kill()  # as it ends where its log is on the full disk, too
        filler.unlink()
        flow_run = worker.start(CliSandbox(server, cli_sandbox.sandbox, cli_sandbox.folder))
        assert flow_run.settled() == "COMPLETED"
    assert cli_sandbox.published


def cannot_write(server: PrefectServer) -> bool:
    """Whether the server refuses another flow run; writing fills what its database still had."""
    flow = ask("POST", f"{server.url}/flows/filter", {})[0]["id"]
    answers = [httpx.post(f"{server.url}/flow_runs/", json={"flow_id": flow}, timeout=60) for _ in range(10)]
    return any(answer.is_server_error for answer in answers)
