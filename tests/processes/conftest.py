"""Real processes beside the session's Prefect server."""

from collections.abc import Generator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME

from tests.processes.commands import CliSandbox, running_commands
from tests.processes.server import PrefectServer
from tests.processes.workers import Worker, running_worker


@pytest.fixture(scope="session")
def server(prefect_server: str) -> PrefectServer:
    """Starts processes that use the session's server."""
    return PrefectServer(prefect_server, PREFECT_HOME.value())


@pytest.fixture(scope="session")
def worker(server: PrefectServer) -> Generator[Worker]:
    """A process worker that executes exports."""
    with running_worker(server) as worker:
        yield worker


@pytest.fixture
def cli_sandbox(server: PrefectServer, tmp_path: Path) -> Generator[CliSandbox]:
    """A stand-in platform and an empty folder; whatever command still runs at the end is ended."""
    with running_commands(server, tmp_path / "exports") as running:
        yield running
