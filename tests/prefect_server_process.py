"""The process of the tests' Prefect server: that of `prefect_test_harness`, whose transactions wait for one another.

On SQLite a server of Prefect's answers 503 when two requests write at once; under `make up` ours does not, and so that
tests which run at the same time do not disturb one another, neither does this one.
"""

import os
import subprocess
import sys
from pathlib import Path

from fastapi import FastAPI
from prefect.server.api.server import SubprocessASGIServer, create_app
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, get_current_settings

from deployments.local.sqlite_writes import write_one_at_a_time

REPOSITORY = Path(__file__).parents[1]


def serve() -> FastAPI:
    """The server's application, for uvicorn."""
    write_one_at_a_time(PREFECT_API_DATABASE_CONNECTION_URL.value())
    return create_app(final=True)


def start(server: SubprocessASGIServer) -> "subprocess.Popen[bytes]":
    """Start the process; stands for `SubprocessASGIServer._run_uvicorn_command`."""
    place = ["--host", "127.0.0.1", "--port", str(server.port), "--app-dir", str(REPOSITORY)]
    command = [sys.executable, "-m", "uvicorn", "--factory", f"{__name__}:serve", *place, "--log-level", "error"]
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    ephemeral = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    return subprocess.Popen([*command, "--lifespan", "on"], env=os.environ | ephemeral | settings)
