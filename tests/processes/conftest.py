"""Real processes beside the session's Prefect server."""

from collections.abc import Generator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME

from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.options import Options
from tests.processes.commands import CliSandbox
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
    with running_sandbox(options=Options(run_seconds=0.6)) as sandbox:
        cli_sandbox = CliSandbox(server, sandbox, tmp_path / "exports")
        yield cli_sandbox
        for command in cli_sandbox.commands:
            if command.process.poll() is None:
                command.kill()
