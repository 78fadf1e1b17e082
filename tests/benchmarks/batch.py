"""`make bench-batch`: a thousand iModels, and the night after when ten have changed, on SQLite and on PostgreSQL.

Each part is a process of its own: the stand-in platform, a Prefect server, the batch. Writes its section of REPORT.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from blocks.settings import Settings
from deployments.local.postgres import find_programs, start_postgres
from deployments.local.processes import Processes
from tasks.batch.export_all import TASK_RUNS_PER_EXPORT
from tests.benchmarks.report import machine, put_section

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def process(*command: str, environment: dict[str, str], log: Path) -> Generator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with log.open("wb") as output:
        started = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=output, stderr=output)
        try:
            yield started
        finally:
            started.terminate()
            started.wait(timeout=30)


@contextmanager
def postgres(folder: Path) -> Generator[str]:
    """A private PostgreSQL cluster on loopback."""
    processes = Processes(folder / "database")
    try:
        yield start_postgres(processes)
    finally:
        processes.stop()


def wait_for(url: str) -> None:
    """Wait until something answers there."""
    for _ in range(600):
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(url)


def batch(environment: dict[str, str], itwin_id: str, max_active: int, log: Path) -> dict[str, Any]:
    """One batch in a process of its own; what it measured."""
    command = [sys.executable, "-m", "tests.benchmarks.batch_client", itwin_id, str(max_active)]
    with log.open("wb") as errors:
        done = subprocess.run(
            command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=errors, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def task_runs(api: str) -> int:
    """How many task runs the server's table holds."""
    return int(httpx.post(f"{api}/task_runs/count", json={}, timeout=60).json())


def settled_task_runs(api: str, expected: int) -> int:
    """The same, once the server has digested its queue: enough and no more coming, or two minutes have passed."""
    before = 0
    for _ in range(24):
        if (counted := task_runs(api)) >= expected and counted == before:
            return counted
        before = counted
        time.sleep(5)
    return before


def measure(arguments: argparse.Namespace, database: str, folder: Path) -> list[dict[str, Any]]:
    """Both nights."""
    port = 20_000 + os.getpid() % 20_000
    platform, server = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
    common = kept | {"PREFECT_HOME": str(folder / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with ExitStack() as stack:
        connection = stack.enter_context(postgres(folder)) if database == "postgres" else ""
        settings = common | ({"PREFECT_API_DATABASE_CONNECTION_URL": connection} if connection else {})
        serve = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port + 1)]
        stack.enter_context(process(*serve, environment=settings, log=folder / "server.log"))
        sandbox = f"from deployments.sandbox.server import serve; serve({port})"
        stack.enter_context(process(sys.executable, "-c", sandbox, environment=common, log=folder / "sandbox.log"))
        wait_for(f"{platform}/sandbox/state")
        wait_for(f"{server}/api/health")
        return two_nights(arguments, common, platform, f"{server}/api", folder)


def settings_of(platform: str, api: str, exports: Path, requests_per_minute: int) -> dict[str, str]:
    """What leads the batch to the parts."""
    return {
        "PREFECT_API_URL": api,
        "ITWIN_API_URL": platform,
        "ITWIN_ISSUER_URL": platform,
        "ITWIN_CLIENT_ID": "sandbox-service",
        "ITWIN_CLIENT_SECRET": "sandbox-secret",
        "ITWIN_OUTPUT_DIR": str(exports),
        "ITWIN_REQUESTS_PER_MINUTE": str(requests_per_minute),
    }


def two_nights(
    arguments: argparse.Namespace, common: dict[str, str], platform: str, api: str, folder: Path
) -> list[dict[str, Any]]:
    """Everything new, then ten changed."""
    control = httpx.Client(base_url=platform, timeout=120)
    itwin_id = "fe459af2-e6a0-5cfe-b648-9af1170a2a12"
    control.patch("/sandbox/options", json={"run_seconds": arguments.run_seconds})
    made = control.post(
        "/sandbox/imodels", json={"name": "Model", "count": arguments.imodels - 4, "changesets": 1, "elements": 4}
    ).json()["imodels"]
    environment = common | settings_of(platform, api, folder / "exports", arguments.requests_per_minute)
    nights: list[dict[str, Any]] = []
    for changed in (0, 10):
        for imodel in made[:changed]:
            control.post(f"/sandbox/imodels/{imodel['id']}/changesets", json={})
        before, runs, counted = requests(control), remote_runs(control), task_runs(api)
        measured = batch(environment, itwin_id, arguments.max_active, folder / f"night-{changed}.log")
        sent = requests(control) - before
        expected = 1 + TASK_RUNS_PER_EXPORT * measured["exported"] + measured["skipped"]
        dictated = max(
            measured["exported"] / arguments.max_active * arguments.run_seconds,
            60 * sent / arguments.requests_per_minute,
        )
        nights.append(
            measured
            | {
                "requests": sent,
                "remote_runs": remote_runs(control) - runs,
                "task_runs": settled_task_runs(api, counted + expected) - counted,
                "task_runs_expected": expected,
                "dictated_seconds": round(dictated, 1),
                "paced_seconds": round(expected / Settings().task_runs_per_second, 1),
            }
        )
    return nights


def requests(control: httpx.Client) -> int:
    """How many requests the platform has seen."""
    return int(control.get("/sandbox/state").json()["requests"])


def remote_runs(control: httpx.Client) -> int:
    """How many export runs the platform has started."""
    return len(control.get("/sandbox/state").json()["runs"])


COLUMNS = {
    "seconds": "seconds",
    "dictated_seconds": "dictated",
    "paced_seconds": "paced",
    "exported": "exported",
    "skipped": "skipped",
    "failed": "failed",
    "remote_runs": "remote runs",
    "requests": "requests",
    "server_requests": "to the Prefect server",
    "artifact_requests": "for page and progress",
    "task_runs": "task runs in the table",
    "task_runs_expected": "of",
    "peak_rss_mb": "peak MB",
    "loop_lag_p95_ms": "loop lag p95 ms",
    "loop_lag_max_ms": "max ms",
}


def report(arguments: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> str:
    """What was measured, in words and a table."""
    rows = [
        f"| {database}, {night} | {' | '.join(str(measured[member]) for member in COLUMNS)} |"
        for database, nights in found.items()
        for night, measured in zip(("everything new", "ten changed"), nights, strict=True)
    ]
    return f"""`make bench-batch`: {arguments.imodels} iModels whose export runs take {arguments.run_seconds:g} s,
`max_active` {arguments.max_active}, {arguments.requests_per_minute} requests a minute. “Dictated” is the longer of what
`max_active` and the request budget allow; “paced” is what the task runs take at the pace that a Prefect server digests.

| night | {" | ".join(COLUMNS.values())} |
|---|{"---|" * len(COLUMNS)}
{chr(10).join(rows)}

{machine(["prefect", "httpx"], [[find_programs() / "postgres", "--version"]])}
"""


def main() -> None:
    """Run, print a line a night, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imodels", type=int, default=1000)
    parser.add_argument("--run-seconds", type=float, default=30)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    parser.add_argument("--max-active", type=int, default=60)
    parser.add_argument("--requests-per-minute", type=int, default=5000)
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for database in arguments.databases:
        with tempfile.TemporaryDirectory(prefix="itwin-export-bench-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            found[database] = measure(arguments, database, Path(folder))
            sys.stdout.write(json.dumps({database: found[database]}) + "\n")
            sys.stdout.flush()
    put_section("Batches", report(arguments, found))


if __name__ == "__main__":
    main()
