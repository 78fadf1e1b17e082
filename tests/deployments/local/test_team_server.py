"""The arrangement of compose.yaml without containers: a server on PostgreSQL and Redis, two workers."""

import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from deployments.local.access import new_password
from deployments.local.postgres import start_postgres
from deployments.local.processes import Processes
from deployments.local.stack import own_environment, run_python
from deployments.local.waiting import answers, free_port, wait_until
from deployments.pull import POOL
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import BatchReport
from tests.deployments.local.stack import QUICK_WORKER, REPOSITORY, LocalMachine, wait_for

REDIS = "/usr/bin/redis-server"
REDIS_PASSWORD = secrets.token_hex(24)


class Team(Processes):
    """Processes started one by one, as the services of compose.yaml are."""

    def python(self, name: str, environment: dict[str, str], *module_and_arguments: str) -> None:
        """Start a service."""
        self.start(name, [sys.executable, "-m", *module_and_arguments], environment, cwd=REPOSITORY)

    def until_it_answers(self, url: str, name: str) -> None:
        """Wait for a service."""
        wait_until(lambda: answers(url), name, still_there=lambda: self.check(name))

    def until_it_says(self, name: str, words: str) -> None:
        """Wait for a line of its log."""
        wait_until(lambda: words in self.log_of(name).read_text(), name, still_there=lambda: self.check(name))


def redis_settings(port: int) -> dict[str, str]:
    """The settings of compose.yaml's server for Redis, with Redis on this machine."""
    compose = yaml.safe_load((REPOSITORY / "deployments" / "compose.yaml").read_text())
    server: dict[str, str] = compose["services"]["server"]["environment"]
    return {
        name: re.sub(r"\$\{REDIS_PASSWORD.*?\}", REDIS_PASSWORD, value).replace("@redis:6379", f"@127.0.0.1:{port}")
        for name, value in server.items()
        if "redis" in name.lower() + value
    } | {"PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1", "PREFECT_REDIS_MESSAGING_PORT": str(port)}


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    """A platform whose runs take long enough for two workers to share them."""
    with running_sandbox(options=Options(run_seconds=2)) as running:
        yield running


@pytest.fixture(scope="module")
def team(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalMachine]:
    """PostgreSQL, Redis, server, deployments, two workers."""
    # PostgreSQL runs as another user where we are root, who could not enter pytest's private folder.
    with tempfile.TemporaryDirectory(prefix="team-", ignore_cleanup_errors=True) as cli_sandbox:
        Path(cli_sandbox).chmod(0o755)
        team = Team(Path(cli_sandbox) / "state")
        try:
            yield LocalMachine(team.folder, *start_team(team, sandbox, tmp_path_factory.mktemp("exports")))
        finally:
            team.stop()


def start_team(team: Team, sandbox: RunningSandbox, exports: Path) -> tuple[dict[str, str], str]:
    """Start everything; the environment of its clients, and where the UI is."""
    team.log_of("server").touch()
    redis, port = free_port(), free_port()
    configuration = team.folder / "redis.conf"
    configuration.write_text(f"requirepass {REDIS_PASSWORD}\n")
    team.start("redis", [REDIS, configuration, "--port", str(redis), "--bind", "127.0.0.1", "--dir", team.folder], {})
    password = new_password()
    server = own_environment(team.folder) | redis_settings(redis) | {"PREFECT_SERVER_API_AUTH_STRING": password}
    server["PREFECT_API_DATABASE_CONNECTION_URL"] = start_postgres(team)
    key = team.folder / "encryption.key"
    team.python("server", server, "deployments.local.prefect_server", "--port", str(port), "--key-file", str(key))
    url = f"http://127.0.0.1:{port}"
    quick = {"ITWIN_POLL_SECONDS": "0.5", "ITWIN_OUTPUT_DIR": str(exports), "PREFECT_API_URL": f"{url}/api"}
    names = {"ITWIN_NIGHTLY_IMODEL_ID": "", "ITWIN_WATCH_ITWIN_ID": ""}
    access = {"PREFECT_API_AUTH_STRING": password}
    client = own_environment(team.folder) | sandbox.environment | quick | names | access
    team.until_it_answers(f"{url}/api/ready", "server")
    run_python(["-m", "prefect", "work-pool", "create", POOL, "--type", "process"], client, team.log_of("pool"))
    run_python(["-m", "prefect", "--no-prompt", "deploy", "--all"], client, team.log_of("deploy"))
    for name in ("first", "second"):
        # One run at a time each, so that both must take part.
        options = ["--pool", POOL, "--name", name, "--limit", "1"]
        team.python(name, client | QUICK_WORKER, "prefect", "worker", "start", *options)
    for name in ("first", "second"):
        team.until_it_says(name, "started!")
    return client, f"Prefect UI: {url}"


def start(team: LocalMachine, imodel_id: str) -> None:
    """Ask for an export, as any client does."""
    deployment = team.deployment("export-ifc/on-demand")["id"]
    body = {"parameters": {"imodel_id": imodel_id}, "state": {"type": "SCHEDULED"}}
    team.ask("POST", f"/deployments/{deployment}/create_flow_run", body)


@dataclass(frozen=True)
class Batch:
    """A running `itwin-export itwin --shards 4`."""

    command: subprocess.Popen[str]
    imodel_ids: set[str]

    def finished(self) -> BatchReport:
        """What it reports."""
        stdout, stderr = self.command.communicate(timeout=500)
        assert self.command.returncode == 0, stderr
        return BatchReport.model_validate_json(stdout)


def start_batch(team: LocalMachine, sandbox: RunningSandbox, name: str, count: int) -> Batch:
    """Export so many new iModels in four shards."""
    state = sandbox.state
    made = [state.add_imodel(SEEDED.itwin, f"{name} {number}", changesets=1) for number in range(count)]
    ids = {imodel.id for imodel in made}
    chosen = [argument for imodel_id in sorted(ids) for argument in ("--imodel-ids", imodel_id)]
    command = [sys.executable, "-m", "deployments", "itwin", SEEDED.itwin, "--shards", "4", "--json", *chosen]
    environment = team.environment | {"ITWIN_SHARD_SILENCE_SECONDS": "10"}
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=pipe, stderr=pipe, text=True)
    return Batch(started, ids)


def kill_worker(team: LocalMachine, name: str) -> None:
    """SIGKILL of a worker and of all it runs: the machine it was on is gone."""
    (worker,) = [one for one in Team(team.state).running() if one.name == name]
    process = psutil.Process(worker.pid)
    for member in [process, *process.children(recursive=True)]:
        member.kill()


@pytest.mark.crash
def test_two_workers_share_the_exports(team: LocalMachine, sandbox: RunningSandbox) -> None:
    """Exports asked for at once are shared by both workers and all complete, each with one run at the platform."""
    asked = [SEEDED.plant, SEEDED.bridge]
    for imodel_id in asked:
        start(team, imodel_id)
    runs = wait_for(lambda: _ended(team, "export-ifc/on-demand", len(asked)), "both exports")
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * len(asked)
    assert sorted(run.imodel_id for run in sandbox.state.runs) == sorted(asked)
    carried_out = [_carried_out(team, worker, asked) for worker in ("first", "second")]
    assert sum(carried_out) == len(asked)
    assert min(carried_out) >= 1


def test_events_travel_through_redis(team: LocalMachine, sandbox: RunningSandbox) -> None:
    """An event reaches the automation by way of Redis and starts the export of its iModel."""
    emit = (
        "import asyncio, sys; from tasks.imodel_events import emit_change; "
        "asyncio.run(emit_change(sys.argv[1], reason='t'))"
    )
    environment = own_environment(team.state) | team.client_environment
    run_python(["-c", emit, SEEDED.stadium], environment, team.state / "emit.log")
    run = team.finished("export-ifc/on-changes")
    assert (run["state_type"], run["parameters"]) == (
        "COMPLETED",
        {"imodel_id": SEEDED.stadium, "changeset_id": "", "named_version": ""},
    )
    assert [run.imodel_id for run in sandbox.state.runs].count(SEEDED.stadium) == 1


@pytest.mark.crash
def test_a_batch_is_spread_over_the_workers(team: LocalMachine, sandbox: RunningSandbox) -> None:
    """With four shards and two workers each iModel is exported once, and one report tells of all."""
    report = start_batch(team, sandbox, "Spread", 6).finished()
    assert (report.exported, report.failed) == (6, 0)
    assert all(len(sandbox.state.runs_of(one.imodel_id)) == 1 for one in report.reports)
    assert min(_shards_of(team, worker) for worker in ("first", "second")) >= 1


@pytest.mark.crash
def test_a_killed_worker_loses_nothing(team: LocalMachine, sandbox: RunningSandbox) -> None:
    """Killed with all it runs, a worker's shard goes to the other one, which takes up the runs that were started."""
    batch = start_batch(team, sandbox, "Rescued", 8)
    wait_for(lambda: _at_work(team, sandbox, batch) or None, "a run of the second worker")
    kill_worker(team, "second")
    report = batch.finished()
    assert (report.exported + report.skipped, report.failed) == (8, 0)
    assert {one.imodel_id for one in report.reports} == batch.imodel_ids
    assert all(len(sandbox.state.runs_of(imodel_id)) == 1 for imodel_id in batch.imodel_ids)


def test_the_database_is_postgresql(team: LocalMachine) -> None:
    """The server keeps nothing in SQLite, and its password stands in no log."""
    password = (team.state / "postgres" / "password").read_text()
    files = [name for _, _, names in os.walk(team.state) for name in names]  # PostgreSQL removes folders meanwhile
    assert "password" in files
    assert not [name for name in files if name.endswith(".db")]
    assert all(password not in log.read_text() for log in team.state.glob("*.log"))
    assert (team.state / "postgres" / "password").stat().st_mode & 0o077 == 0


def _carried_out(team: LocalMachine, worker: str, imodel_ids: list[str]) -> int:
    """How many of the exports a worker began; both may reach for the same one, and the server lets one have it."""
    log = (team.state / f"{worker}.log").read_text()
    return sum(f"Beginning flow run 'ifc-{imodel_id}'" in log for imodel_id in imodel_ids)


def _shards_of(team: LocalMachine, worker: str) -> int:
    """How many shards a worker has been given."""
    log = (team.state / f"{worker}.log").read_text()
    return sum(run["id"] in log for run in team.runs_of("export-itwin/shard"))


def _at_work(team: LocalMachine, sandbox: RunningSandbox, batch: Batch) -> bool:
    """True while export runs of the batch are active and the second worker has something to run."""
    (worker,) = [one for one in Team(team.state).running() if one.name == "second"]
    active = any(imodel_id in batch.imodel_ids for imodel_id in sandbox.state.active_runs)
    return active and bool(psutil.Process(worker.pid).children())


def _ended(team: LocalMachine, name: str, count: int) -> list[dict[str, str]] | None:
    ended = [run for run in team.runs_of(name) if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]
    return ended if len(ended) == count else None
