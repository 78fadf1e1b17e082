"""A temporary Prefect server for one command, where none is configured; it ends with the command."""

from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)

from deployments.local.access import new_password
from deployments.stop_signals import stop_signals

Result = TypeVar("Result")


@contextmanager
def own_server() -> Generator[None]:
    """Let Prefect start a server of ours instead of its own, as soon as it needs one and none is configured."""
    if PREFECT_API_URL.value():
        yield
        return
    from deployments.cli.own_server_process import OwnServer  # noqa: PLC0415  imports Prefect's server

    server = OwnServer()
    password = new_password()
    with temporary_settings({PREFECT_API_AUTH_STRING: password, PREFECT_SERVER_API_AUTH_STRING: password}):
        try:
            yield
        finally:
            if server.running:
                APILogWorker.drain_all(timeout=5)  # at the end of the process nobody would take the logs
            server.stop()


def run_with_server(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that may need a Prefect server."""
    try:
        with own_server():
            return stop_signals.run(work)
    finally:
        work.close()  # where the server's settings cannot be read it has not begun, and Python would complain
