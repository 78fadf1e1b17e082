"""What the tests share: one Prefect server a session, a stand-in platform a test, everything on loopback."""

import gc
import logging
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import certifi
import pytest
from hypothesis import settings
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE,
    PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness
from xdist.scheduler import LoadFileScheduling

from deployments.local.server_settings import LEASES_ON_DISK
from deployments.sandbox.azurite import RunningAzurite, running_azurite
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from tests.object_stores.destinations import destination, gcs, moto, s3_store
from tests.prefect_database import add_database

if TYPE_CHECKING:
    from xdist.remote import Producer

__all__ = ["destination", "gcs", "moto", "s3_store"]  # fixtures of another module

settings.register_profile("campaign", max_examples=1000)

STACKS = frozenset({"test_make_up.py", "test_power_cut.py", "test_team_server.py"})
"""A server, workers and a platform each: several of them at once take longer than one after the other."""
SLOW = STACKS | {"test_fault_schedules.py", "test_kills.py", "test_refresh_rotation.py", "test_suspend.py"}

OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""Allocations until garbage is collected; with Python's 700 that takes a quarter of the CPU time of importing tests."""


class ByFile(LoadFileScheduling):
    """Assigns test files to the workers of pytest-xdist; all stacks go to the same worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "stacks" if Path(file).name in STACKS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> ByFile:
    """Say who runs what."""
    return ByFile(config, log)


def pytest_configure() -> None:
    """Collect garbage less often, and handle Ctrl-C also in a background process (`nohup … &` has it ignored)."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that none of them is left over for the end; run every test once.

    pytest-xdist tells tests apart by their ids, and runs one of those that share an id: schemathesis, which tests an
    operation after the other, says in the name only which one it is.
    """
    items.sort(key=lambda item: item.path.name not in SLOW)
    for item in items:
        if operation := vars(item).get("operation_label"):
            item._id = item.id.with_params(operation)  # pyright: ignore[reportPrivateUsage]  # nothing else sets it
    shared = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    if shared:
        raise pytest.UsageError(f"Several tests share an id, and only one of them would run: {', '.join(shared)}")


def pytest_collection_finish() -> None:
    """Exclude modules and collected tests from garbage collection: they are needed until the end."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the generated faults and kills of `test_fault_schedules.py` and `test_crash_released.py`."""
    parser.addoption("--seed", type=int, default=None, help="Run this one schedule of faults.")
    parser.addoption("--seeds", type=int, default=3, help="Run so many schedules of faults.")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A real Prefect server with its own database and home; its API address."""
    home, database = tmp_path_factory.mktemp("prefect-home"), tmp_path_factory.mktemp("prefect-database")
    add_database(database, "prefect-test.db")
    with (
        patch("prefect.testing.utilities.mkdtemp", return_value=str(database)),
        temporary_settings(
            {
                PREFECT_HOME: home,
                PREFECT_API_SSL_CERT_FILE: one_certificate(home),
                PREFECT_SERVER_ANALYTICS_ENABLED: False,
                PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: LEASES_ON_DISK,
                PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL: 0.5,  # seconds until an event can be read
            }
        ),
        prefect_test_harness(server_startup_timeout=500),
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}),
    ):
        yield str(PREFECT_API_URL.value())


def one_certificate(folder: Path) -> str:
    """A file with one authority: each client of Prefect's reads all of them, also where it speaks plain HTTP."""
    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----\n")
    file = folder / "authority.pem"
    file.write_text(first + end)
    return str(file)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[RunningSandbox]:
    """A stand-in platform whose runs take a moment; the environment points at it and at an empty folder."""
    for name in ("ITWIN_REFRESH_TOKEN", "ITWIN_ALLOWED_HOSTS", "ITWIN_BLOB_OUTPUT_SAS_URL", "ITWIN_BLOB_LOGS_SAS_URL"):
        monkeypatch.delenv(name, raising=False)
    with running_sandbox(options=Options(run_seconds=0.3)) as running:
        quick = {
            "ITWIN_OUTPUT_DIR": str(tmp_path / "exports"),
            "ITWIN_POLL_SECONDS": "0.1",
            "ITWIN_POLL_MAX_SECONDS": "1",
            "ITWIN_REQUESTS_PER_MINUTE": "60000",
            "ITWIN_TASK_RUNS_PER_SECOND": "40",
            "ITWIN_PREVIEW": "off",
        }
        for name, value in (running.environment | quick).items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def azurite() -> Generator[RunningAzurite]:
    """A real Azurite."""
    with running_azurite() as running:
        assert running is not None, "Azurite is not installed: run make node"
        yield running


@pytest.fixture(autouse=True)
def _quiet_servers() -> None:
    """Servers that share the process log to nobody."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
