"""`python -m tests.benchmarks.peers.triggerer`: Airflow's triggerer with thousands of deferred task instances.

Their rows are written into a PostgreSQL of its own through Airflow's models; each trigger polls a small server once a
minute. Measured, once all triggers have started: the triggerer's processes, PostgreSQL and the requests, for some
minutes. Writes its section of REPORT.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from deployments.local.postgres import find_programs
from tests.benchmarks.batch import postgres, process
from tests.benchmarks.peers.__main__ import HERE, interpreter
from tests.benchmarks.peers.process_costs import cpu_seconds, family, memory
from tests.benchmarks.peers.run_server import RunServer
from tests.benchmarks.report import machine, put_section

NAME = "airflow_triggerer"
LIMIT_SECONDS = 3600
Figures = dict[str, Any]


def environment(connection: str, folder: Path, port: int) -> dict[str, str]:
    """Airflow's settings: its defaults, apart from where things are."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AIRFLOW"))} | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / NAME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": connection.replace("asyncpg", "psycopg2"),
        "PYTHONPATH": str(HERE / NAME),
        "PLATFORM_URL": f"http://127.0.0.1:{port}",
    }


def transactions(connection: str) -> int:
    """How many PostgreSQL has ended."""
    sql = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"
    command = [find_programs() / "psql", "-At", connection.replace("+asyncpg", ""), "-c", sql]
    return int(subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE).stdout)


def database(folder: Path) -> psutil.Process:
    """The PostgreSQL of this program."""
    return psutil.Process(json.loads((folder / "database" / "processes.json").read_text())[0]["pid"])


def seconds_until_all_run(folder: Path, count: int, triggerer: subprocess.Popen[bytes]) -> int:
    """Wait until all triggers have started, by counting their log files: Airflow creates one when a trigger starts."""
    begin = time.monotonic()
    while (started := sum(1 for _ in (folder / "airflow" / "logs").rglob("*.trigger.*.log"))) < count:
        if triggerer.poll() is not None or time.monotonic() - begin > LIMIT_SECONDS:
            raise RuntimeError(f"Only {started} triggers started:\n{(folder / 'log').read_text()[-3000:]}")
        time.sleep(1)
    return round(time.monotonic() - begin)


def in_an_hour(seconds: float, look: Callable[[], dict[str, float]]) -> Figures:
    """What the measured time comes to in an hour."""
    before, begin = look(), time.monotonic()
    time.sleep(seconds)
    after, hours = look(), (time.monotonic() - begin) / 3600
    return {name: round((after[name] - before[name]) / hours) for name in before}


def measure(count: int, seconds: float, python: Path, folder: Path) -> Figures:
    """One triggerer, from its start to the end of the measured time."""
    platform, airflow = RunServer(), str(python.with_name("airflow"))
    platform.start()
    with ExitStack() as stack:
        connection = stack.enter_context(postgres(folder))
        settings = environment(connection, folder, platform.port)
        rows = [str(python), str(HERE / NAME / "deferred_rows.py"), str(count)]
        for made in ([airflow, "db", "migrate"], [airflow, "dags", "reserialize"], rows):
            subprocess.run(made, env=settings, check=True, stdout=subprocess.DEVNULL)
        command = [airflow, "triggerer", "--skip-serve-logs", "--capacity", str(count)]
        running = stack.enter_context(process(*command, environment=settings, log=folder / "log"))
        found: Figures = {"triggers": count, "start_seconds": seconds_until_all_run(folder, count, running)}
        triggerer, server, asked = psutil.Process(running.pid), database(folder), platform.asked.copy()
        found["start_cpu_seconds"] = round(cpu_seconds(triggerer))

        def look() -> dict[str, float]:
            counted = {"requests": platform.asked.total(), "transactions": transactions(connection)}
            return counted | {"cpu_seconds": cpu_seconds(triggerer), "database_cpu_seconds": cpu_seconds(server)}

        found |= in_an_hour(seconds, look) | memory(triggerer) | {"polled": len(platform.asked - asked)}
        for one in family(triggerer):
            one.kill()
    return found | {"blocked": (folder / "log").read_text().count("async thread was blocked")}


ROWS = {
    "triggers": "triggers",
    "polled": "of these polled in the measured time",
    "cpu_seconds": "CPU s of the triggerer in an hour",
    "database_cpu_seconds": "CPU s of PostgreSQL in an hour",
    "requests": "requests to the platform in an hour",
    "transactions": "transactions in an hour",
    "rss_mb": "MB of its two processes",
    "rss_mb_pages_once": "MB where a page they share counts once",
    "start_seconds": "seconds until all triggers ran",
    "start_cpu_seconds": "CPU s until then",
    "blocked": "warnings of a blocked event loop",
}


def report(found: list[Figures], seconds: float) -> str:
    """What was measured, as a table."""
    rows = [f"| {words} | {' | '.join(str(one[name]) for one in found)} |" for name, words in ROWS.items()]
    packages = (HERE / NAME / "requirements.txt").read_text().split()
    return f"""`python -m tests.benchmarks.peers.triggerer`: `airflow triggerer --capacity N` on PostgreSQL, default
settings, measured for {seconds:g} s once all triggers ran. Each polls once a minute, as a user's own code would
(`asyncio.sleep(60)` and one `GET`, with one aiohttp client for all). Scheduler, API server and workers did not run.

{chr(10).join([rows[0], "|---|" + "---|" * len(found), *rows[1:]])}

{machine(["psutil"], [[find_programs() / "postgres", "--version"]])}
* {", ".join(packages).replace("==", " ")}
"""


def main() -> None:
    """Measure in turn and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--environments", type=Path, help="Folder that keeps the environment; a temporary one else.")
    arguments = parser.parse_args()
    found: list[Figures] = []
    for count in arguments.triggers:
        with tempfile.TemporaryDirectory(prefix="itwin-export-bench-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            python = interpreter(NAME, arguments.environments or Path(folder))
            found.append(measure(count, arguments.seconds, python, Path(folder)))
            sys.stderr.write(f"{found[-1]}\n")
    put_section("Airflow's triggerer", report(found, arguments.seconds))


if __name__ == "__main__":
    main()
