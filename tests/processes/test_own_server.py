"""The Prefect server that a command brings along: nobody else gets in, and it ends with the command."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.stack import wait_for
from tests.other_user import answers_to, attempts, files_readable_in, open_folder
from tests.prefect_database import add_database
from tests.processes.server import REPOSITORY

MODULE = "deployments.local.prefect_server"


def environment(home: Path) -> dict[str, str]:
    """No Prefect server is configured, and nothing of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PREFECT_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


@contextmanager
def command(home: Path, *arguments: str) -> Generator[subprocess.Popen[bytes]]:
    """A command that runs, in a session of its own as in a terminal of its own."""
    started = subprocess.Popen(
        [sys.executable, "-m", "deployments", *arguments],
        env=environment(home),
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def server_of(started: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The server among the descendants of a command."""
    for process in psutil.Process(started.pid).children(recursive=True):
        if MODULE in process.cmdline():
            return process
    return None


def serving(started: subprocess.Popen[bytes]) -> tuple[psutil.Process, str] | None:
    """The server and its address, once it answers."""
    server = server_of(started)
    ports = [found.laddr.port for found in server.net_connections("tcp")] if server else []
    for url in {f"http://127.0.0.1:{port}" for port in ports}:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/api/health", timeout=5).is_success and server:
                return server, url
    return None


def assert_gone(server: psutil.Process) -> None:
    """Wait for the end of a process that is not our child."""
    assert psutil.wait_procs([server], timeout=120)[0], "the server goes on without its command"


@pytest.fixture
def home() -> Generator[Path]:
    """A PREFECT_HOME with nothing but a database, in a folder that every user may enter."""
    with open_folder() as folder:
        (folder / "prefect").mkdir()
        add_database(folder / "prefect")
        yield folder / "prefect"


def test_another_user_gets_nothing(home: Path, sandbox: RunningSandbox) -> None:
    """Beside a running export another user reads, changes and starts nothing; killing the command ends its server."""
    sandbox.state.imodels[SEEDED.plant].run_seconds = 3600
    with command(home, "ifc", SEEDED.plant) as started:
        server, url = wait_for(lambda: serving(started), "the command's server")
        wait_for(lambda: sandbox.state.runs or None, "an export in the middle")
        for status, body in answers_to(*attempts(url)):
            assert (status, body) in {(401, '{"exception_message":"Unauthorized"}'), (400, "Invalid host header")}
        assert files_readable_in(home) == set()
        preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        answer = httpx.options(f"{url}/api/flow_runs/filter", headers=preflight, timeout=60)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (400, None)
        started.kill()
        assert_gone(server)


@pytest.mark.parametrize(
    "ending",
    [
        *(
            pytest.param(ending, marks=pytest.mark.crash)
            for ending in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGINT)
        ),
        signal.SIGKILL,
    ],
)
def test_the_server_ends_with_a_command_that_is_still_starting(
    home: Path, sandbox: RunningSandbox, ending: signal.Signals
) -> None:
    """A signal while the server is being started ends both."""
    assert sandbox.url
    with command(home, "ifc", SEEDED.plant) as started:
        server = wait_for(lambda: server_of(started), "the start of the command's server")
        started.send_signal(ending)
        started.communicate(timeout=120)
        assert_gone(server)
