"""`python -m tests.benchmarks.released`: one follower for ten thousand flow runs that wait without a process.

The flow runs are written into PostgreSQL as they would be after their suspension: one is made through the server, and
the rows of the others are copies of it with ids of their own. Each waits for an export run of an iModel of its own at
the stand-in platform. Measured: a look in which all are due and a hundred have ended, and one in which none is due.
Writes its section of REPORT.md.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from blocks.itwin.api.exports import RunInput, RunOutput
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import read_settings
from deployments.local.postgres import find_programs
from tasks.released.wait import ReleasedWait
from tests.benchmarks.batch import REPOSITORY, postgres, process, settings_of, wait_for
from tests.benchmarks.report import machine, put_section
from tests.prefect_api import ask

AT_ONCE = 20
HOUR = timedelta(hours=1)


async def start_run(imodel_id: str, credentials: ItwinCredentials) -> ReleasedWait:
    """An export run that goes on, and the wait of a flow run that has followed it for an hour."""
    since = datetime.now(UTC) - HOUR
    async with credentials.get_client() as itwin:
        made = await itwin.exports.create_connection(imodel_id, display_name="ours", authentication_type="Service")
        run = await itwin.exports.create_run(made.id, RunInput("IFC4.3", ""), RunOutput("STORAGE"))
    return ReleasedWait(
        format="ifc",
        imodel_id=imodel_id,
        changeset_id="a" * 40,
        connection_id=made.id,
        export_id=run.run_id,
        since=since,
        deadline=since + 24 * HOUR,
    )


async def start_runs(environment: dict[str, str], imodel_ids: Sequence[str]) -> list[ReleasedWait]:
    """One for each iModel."""
    os.environ |= environment
    credentials = ItwinCredentials.from_settings(read_settings())
    slots = asyncio.Semaphore(AT_ONCE)

    async def start(imodel_id: str) -> ReleasedWait:
        async with slots:
            return await start_run(imodel_id, credentials)

    return list(await asyncio.gather(*map(start, imodel_ids)))


def suspended_flow_run(api: str, imodel_id: str, wait: ReleasedWait) -> str:
    """A flow run that is suspended, made through the server; its id."""
    flow = ask("POST", f"{api}/flows/", {"name": "export-ifc"})
    made = ask("POST", f"{api}/flow_runs/", {"flow_id": flow["id"], "parameters": {"imodel_id": imodel_id}})
    state = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_key": wait.key}}
    ask("POST", f"{api}/flow_runs/{made['id']}/set_state", {"state": state, "force": True})
    return str(made["id"])


COPIES = """
CREATE TEMPORARY TABLE wait (flow_run_id uuid, state_id uuid, key text);
COPY wait FROM STDIN;
{rows}
\\.
INSERT INTO flow_run
SELECT (jsonb_populate_record(one, jsonb_build_object(
    'id', flow_run_id, 'name', 'ifc-' || flow_run_id, 'state_id', null))).*
FROM flow_run one, wait WHERE one.id = '{template}';
INSERT INTO flow_run_state
SELECT (jsonb_populate_record(one, jsonb_build_object(
    'id', wait.state_id, 'flow_run_id', wait.flow_run_id,
    'state_details', one.state_details::jsonb || jsonb_build_object('pause_key', key)))).*
FROM flow_run_state one, wait WHERE one.id = (SELECT state_id FROM flow_run WHERE id = '{template}');
UPDATE flow_run SET state_id = wait.state_id FROM wait WHERE flow_run.id = wait.flow_run_id;
ANALYZE;
"""


def write_copies(connection_url: str, template: str, waits: Sequence[ReleasedWait]) -> None:
    """The other flow runs, as rows."""
    rows = "\n".join(f"{uuid4()}\t{uuid4()}\t{wait.key}" for wait in waits)
    command = [find_programs() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", connection_url.replace("+asyncpg", "")]
    script = COPIES.format(rows=rows, template=template)
    subprocess.run(command, input=script, text=True, check=True, stdout=subprocess.DEVNULL)


def look(environment: dict[str, str], last_look: str, server: psutil.Process, log: Path) -> dict[str, Any]:
    """One look, and what it cost the Prefect server."""
    command = [sys.executable, "-m", "tests.benchmarks.released_client", *([last_look] if last_look else [])]
    before = sum(server.cpu_times()[:2])
    with log.open("ab") as errors:
        done = subprocess.run(
            command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=errors, check=True
        )
    cost = round(sum(server.cpu_times()[:2]) - before, 1)
    return json.loads(done.stdout.splitlines()[-1]) | {"server_cpu_seconds": cost}


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """The three looks."""
    port = 20_000 + os.getpid() % 20_000
    platform, api = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}/api"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
    common = kept | {"PREFECT_HOME": str(folder / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment = common | settings_of(platform, api, folder / "exports", 1_000_000)
    with ExitStack() as stack:
        connection = stack.enter_context(postgres(folder))
        settings = common | {"PREFECT_API_DATABASE_CONNECTION_URL": connection}
        serve = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port + 1)]
        server = stack.enter_context(process(*serve, environment=settings, log=folder / "server.log"))
        sandbox = f"from deployments.sandbox.server import serve; serve({port})"
        stack.enter_context(process(sys.executable, "-c", sandbox, environment=common, log=folder / "sandbox.log"))
        wait_for(f"{platform}/sandbox/state")
        wait_for(f"{api}/health")
        control = httpx.Client(base_url=f"{platform}/sandbox", timeout=600)
        prepare(arguments, control, environment, connection)
        looking, log = psutil.Process(server.pid), folder / "looks.log"
        all_due = look(environment, "", looking, log)
        return {"all are due": all_due, "none is due": look(environment, datetime.now(UTC).isoformat(), looking, log)}


def prepare(arguments: argparse.Namespace, control: httpx.Client, environment: dict[str, str], connection: str) -> None:
    """The export runs at the platform, of which some have ended, and the flow runs that wait for them."""
    control.patch("/options", json={"run_seconds": 1e6})
    asked = {"name": "Model", "count": arguments.flow_runs, "changesets": 0}
    imodels = [imodel["id"] for imodel in control.post("/imodels", json=asked).json()["imodels"]]
    for imodel_id in imodels[: arguments.ended]:
        control.patch(f"/imodels/{imodel_id}", json={"run_seconds": 0})
    first, *others = asyncio.run(start_runs(environment, imodels))
    write_copies(connection, suspended_flow_run(environment["PREFECT_API_URL"], imodels[0], first), others)


ROWS = {
    "waiting": "flow runs waiting",
    "platform_requests": "requests to the platform",
    "resumed": "resumed",
    "server_requests": "requests to the Prefect server",
    "cpu_seconds": "CPU s of the follower",
    "server_cpu_seconds": "CPU s of the Prefect server",
    "seconds": "seconds",
    "peak_rss_mb": "peak MB of the follower",
}


DUE_LOOKS, OTHER_LOOKS = 10, 50
"""Of the sixty in an hour, where remote runs are an hour old: a tenth of their age is six minutes."""
AIRFLOW = """Airflow's triggerer does the same for deferred operators; what that takes is in its own section. By the
documentation (<https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/deferring.html>), “by
default, every triggerer has a capacity of 1000 triggers that it can try to run at once”, so 10,000 deferred operators
need ten triggerers or a higher `--capacity`. Each trigger does its own polling: they share no budget of requests, and
how often they look is what their author wrote; nothing looks less often as a remote run gets older."""


def in_an_hour(looks: dict[str, dict[str, Any]], name: str) -> int:
    """What a figure of one look comes to in an hour."""
    all_due, none_due = looks.values()
    return round(DUE_LOOKS * all_due[name] + OTHER_LOOKS * none_due[name])


def report(looks: dict[str, dict[str, Any]]) -> str:
    """What was measured, as a table."""
    hour = {name: in_an_hour(looks, name) for name in ("cpu_seconds", "server_cpu_seconds", "platform_requests")}
    rows = [f"| {words} | {' | '.join(str(one[name]) for one in looks.values())} |" for name, words in ROWS.items()]
    return f"""`python -m tests.benchmarks.released`: one process looks once at the flow runs of `while_waiting=release`
on PostgreSQL. Their export runs are an hour old, so each is due every sixth look.

| one look | {" | ".join(looks)} |
|---|{"---|" * len(looks)}
{chr(10).join(rows)}

In an hour, with {DUE_LOOKS} looks of the first kind and {OTHER_LOOKS} of the second: {hour["cpu_seconds"]} CPU s
of the follower, {hour["server_cpu_seconds"]} of the Prefect server, {hour["platform_requests"]} requests to the
platform. A process for each look takes its start besides; a lasting `follow-runs` does not.

{AIRFLOW}

{machine(["prefect", "httpx"], [[find_programs() / "postgres", "--version"]])}
"""


def main() -> None:
    """Run, print the looks, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flow-runs", type=int, default=10_000)
    parser.add_argument("--ended", type=int, default=100, help="How many of the export runs have ended.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="itwin-export-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        looks = measure(arguments, Path(folder))
    sys.stdout.write(json.dumps(looks) + "\n")
    put_section("Flow runs that wait without a process", report(looks))


if __name__ == "__main__":
    main()
