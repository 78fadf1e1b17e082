"""What `make up` starts, in order."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from blocks.disk import disk_errors, open_private, write_whole
from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from deployments.local.access import ClientFile
from deployments.local.postgres import start_postgres
from deployments.local.processes import AS_USUAL, PRIVATE, Processes
from deployments.local.server_settings import HEARTBEAT_SECONDS, SERVER_SETTINGS
from deployments.local.waiting import answers, free_port, wait_until
from deployments.loopback import reach_loopback_directly
from deployments.pull import POOL, PROJECT

Database = Literal["sqlite", "postgres"]


@dataclass
class LocalStack:
    """A Prefect server with all deployments, a worker, and what they need, on loopback."""

    processes: Processes
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """What clients of the server get; the server itself gets more."""

    @property
    def address_file(self) -> Path:
        """Where the UI's address is written down."""
        return self.processes.folder / "address"

    def up(self, port: int, database: Database) -> list[str]:
        """Start everything that is not running yet; what to tell the person.

        Raises:
            DiskError: The state folder cannot be written to.
        """
        if self.processes.running() and not self.processes.ended():
            return [f"Already up: {self.address_file.read_text()}", "Stop it with: make down"]
        self.processes.stop()  # what is left where a part has ended: nothing works without the others
        self.environment = own_environment(self.processes.folder)
        try:
            with disk_errors(self.processes.folder):
                return self._start(port, database)
        except BaseException:
            self.down()
            raise

    def down(self) -> list[str]:
        """Stop everything; the database, the logs and the exports stay."""
        stopped = self.processes.stop()
        return [f"Stopped: {', '.join(stopped)}."] if stopped else ["Nothing was running."]

    def _start(self, port: int, database: Database) -> list[str]:
        private: dict[str, str] = {}
        if database == "postgres":
            private["PREFECT_API_DATABASE_CONNECTION_URL"] = start_postgres(self.processes)
        address, sign_in = self._start_server(free_port(port), private)
        sandbox = self._start_sandbox()
        self._await(f"{address}/api/health", "server")
        blocks = self._run("register_blocks", "-m", "deployments.register_blocks")
        self._start_worker(f"{address}/api")
        self._start_python("recovery", "deployments.recovery", "--heartbeat-seconds", str(HEARTBEAT_SECONDS))
        self._run("deploy", "-m", "prefect", "--no-prompt", "deploy", "--all")
        deliveries = str(self.processes.folder / "deliveries.sqlite")
        self._start_python("deliveries", "deployments.deliveries", "--state-file", deliveries)
        receiver = [*self._start_receiver(), self._start_notices()]
        self.address_file.write_text(address)
        said = [f"Prefect UI: {address}", sign_in, *sandbox, *receiver, *blocks.splitlines()]
        return [*said, "Stop it with: make down"]

    def _start_server(self, port: int, private: dict[str, str]) -> tuple[str, str]:
        """Start the server; its address, and how to sign in."""
        address = f"http://127.0.0.1:{port}"
        clients = ClientFile(self.processes.private_folder() / "client.env")
        password, is_new = clients.password()
        clients.write(f"{address}/api", password)
        self.environment |= {"PREFECT_API_URL": f"{address}/api", "PREFECT_API_AUTH_STRING": password}
        key_file = self.processes.folder / "encryption.key"
        command = ["deployments.local.prefect_server", "--port", str(port), "--key-file", str(key_file)]
        self._start_python("server", *command, more=private | {"PREFECT_SERVER_API_AUTH_STRING": password})
        shown = f"{password} (also in {clients.path})" if is_new else f"the password in {clients.path}"
        return address, f"Sign in with: {shown}"

    def _start_sandbox(self) -> list[str]:
        """A stand-in platform, unless the environment or `.env` holds real credentials."""
        if read_settings().client_id:
            return []
        from deployments.sandbox.server import environment  # noqa: PLC0415
        from deployments.sandbox.state.seed import SEEDED, seeded_state  # noqa: PLC0415  an optional extra

        port = free_port(3110)
        url = f"http://127.0.0.1:{port}"
        # Who can push a changeset there can start an export here.
        key_file = self.processes.folder / "sandbox.key"
        write_whole(key_file, secrets.token_urlsafe(32).encode(), private=True)
        command = ["deployments", "sandbox", "--port", str(port), "--control-key-file", str(key_file)]
        self._start_python("sandbox", *command)
        self._await(f"{url}/.well-known/openid-configuration", "sandbox")
        self.environment |= environment(url, seeded_state())
        self.environment.setdefault("ITWIN_NIGHTLY_IMODEL_ID", SEEDED.plant)
        self.environment.setdefault("ITWIN_NIGHTLY_ITWIN_ID", SEEDED.itwin)
        self.environment.setdefault("ITWIN_WATCH_ITWIN_ID", SEEDED.itwin)
        self.environment.setdefault("ITWIN_WEBHOOK_SECRET", secrets.token_hex(32))
        return [f"Sandbox (no ITWIN_CLIENT_ID is set): {url}, iModel to try: {SEEDED.plant}"]

    def _start_worker(self, api: str) -> None:
        """A worker that makes its work pool, so that deployments find it."""
        command = ["deployments.worker", "--pool", POOL, "--type", "process", "--name", "here"]
        self._start_python("worker", *command, umask=AS_USUAL)  # exports are for whom the caller's umask says
        wait_until(
            lambda: answers(f"{api}/work_pools/{POOL}", self.environment["PREFECT_API_AUTH_STRING"]),
            "The worker",
            still_there=lambda: self.processes.check("worker"),
        )

    def _start_receiver(self) -> list[str]:
        """The receiver of webhooks, when there is a secret to check them with."""
        if not (self.environment.get("ITWIN_WEBHOOK_SECRET") or read_settings().webhook_secret):
            return []
        port = free_port(3120)
        address = f"http://127.0.0.1:{port}/webhooks/itwin"
        state = self.processes.folder / "webhooks.sqlite"
        command = ["deployments.webhooks", "--port", str(port), "--state-file", str(state)]
        has_sandbox = "sandbox" in {started.name for started in self.processes.running()}
        # Who tries it out should not wait for a minute.
        self._start_python("webhooks", *command, *(["--quiet-seconds", "5"] if has_sandbox else []))
        self._await(f"http://127.0.0.1:{port}/health", "webhooks")
        if has_sandbox and (itwin := self.environment["ITWIN_WATCH_ITWIN_ID"]):  # set empty, nothing is watched
            self._run("register_webhook", "-m", "deployments", "webhooks", "register", address, "--itwin-id", itwin)
        return [f"Webhooks are received at {address}"]

    def _start_notices(self) -> str:
        """The receiver of notices, and the automations that send them."""
        port, key_file = free_port(3130), self.processes.folder / "notices.key"
        if not key_file.exists():
            write_whole(key_file, secrets.token_urlsafe(24).encode(), private=True)
        files = ["--key-file", str(key_file), "--file", str(self.processes.folder / "notices.jsonl")]
        self._start_python("notices", "deployments.local.notices", "--port", str(port), *files)
        self._await(f"http://127.0.0.1:{port}/health", "notices")
        page = f"http://127.0.0.1:{port}/{key_file.read_text()}/"
        self.environment["ITWIN_NOTICES_ADDRESS"] = f"{page}notices"
        self._run("automations", "-m", "deployments.local.automations")
        return f"Notices of failed exports arrive at {page}"

    def _start_python(
        self, name: str, *module_and_arguments: str, more: Mapping[str, str] | None = None, umask: int = PRIVATE
    ) -> None:
        command = [sys.executable, "-m", *module_and_arguments]
        self.processes.start(name, command, {**self.environment, **(more or {})}, cwd=PROJECT, umask=umask)

    def _await(self, url: str, name: str) -> None:
        wait_until(lambda: answers(url), f"The {name}", still_there=lambda: self.processes.check(name))

    def _run(self, name: str, *arguments: str) -> str:
        """Run a command to its end, with what it says in a log."""
        return run_python(arguments, self.environment, self.processes.log_of(name))


def own_environment(folder: Path) -> dict[str, str]:
    """The caller's environment with a Prefect of our own in place of the caller's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_API", "PREFECT_SERVER_API", "PREFECT_PROFILE", "PREFECT_HOME"))
    }
    reach_loopback_directly(kept)
    search = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    return (
        SERVER_SETTINGS
        | kept
        | {
            "PREFECT_HOME": str(folder / "prefect"),
            "PYTHONPATH": search,
            "PYTHONUNBUFFERED": "1",
        }
    )


def run_python(arguments: Sequence[str], environment: dict[str, str], log: Path) -> str:
    """What a Python command says.

    Raises:
        ConfigurationError: It failed; the message leads to its log.
    """
    finished = subprocess.run(  # noqa: S603  our own modules
        [sys.executable, *arguments],
        env=environment,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with open(log, "w", opener=open_private) as file:
        file.write(finished.stdout)
    if finished.returncode:
        raise ConfigurationError(f"“{' '.join(arguments)}” failed. What it said stands in {log}.")
    return finished.stdout.strip()
