"""A Prefect server that goes away in the middle of an export and comes back."""

import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import ask
from tests.processes.commands import CliSandbox, until
from tests.processes.server import PrefectServer

pytestmark = pytest.mark.crash

AWAY = 3.0  # seconds without a server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def running_server(home: Path, port: int) -> Generator[PrefectServer]:
    """A Prefect server of its own on this port, with the database in this folder."""
    url = f"http://127.0.0.1:{port}/api"
    server = PrefectServer(url, home)
    process = server.start(["-m", "prefect", "server", "start", "--port", str(port)], log=f"server-{time.time()}.log")
    try:
        until(lambda: is_there(url), "the Prefect server")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_there(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(900)
def test_an_export_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    """While the server is away the wait goes on, and once it is back the export ends as if nothing had happened."""
    port = free_port()
    home = tmp_path / "home"
    home.mkdir()
    with running_sandbox(options=Options(run_seconds=600)) as sandbox:
        with running_server(home, port) as server:
            cli_sandbox = CliSandbox(server, sandbox, tmp_path / "exports")
            command = cli_sandbox.start()
            until(lambda: cli_sandbox.runs and cli_sandbox.runs[0].polls > 2, "waiting for the run")
        polls = cli_sandbox.runs[0].polls
        time.sleep(AWAY)
        assert cli_sandbox.runs[0].polls > polls, "the wait stopped with the server"
        with running_server(home, port):
            sandbox.state.clock.advance(600)
            ended = command.ended()
            assert ended.exit_code == 0, ended.stderr
            flow_run = ask("POST", f"{server.url}/flow_runs/filter", {})[0]
        assert flow_run["state_type"] == "COMPLETED"
    assert flow_run["parameters"]["imodel_id"] == SEEDED.plant
    assert len(cli_sandbox.runs) == 1
    assert any(path.suffix == ".ifc" for path in cli_sandbox.published)
