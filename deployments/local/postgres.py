"""A PostgreSQL of our own: a private cluster on loopback, from the machine's packages."""

import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import ConfigurationError
from deployments.local.processes import Processes, is_root
from deployments.local.waiting import free_port, wait_until

SUPERUSER = "prefect"
UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Cluster:
    """A cluster folder, and as whom its programs run."""

    folder: Path
    programs: Path
    user: str | None

    @property
    def password_file(self) -> Path:
        """Holds the superuser's password; made up once, readable by whom the programs run as."""
        file = self.folder.with_name("password")
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
            if self.user:
                shutil.chown(file, self.user)
        return file

    def create(self) -> None:
        """Make the cluster, once."""
        if (self.folder / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user:
            shutil.chown(self.folder, self.user)
        options = [
            "--auth=scram-sha-256",
            f"--pwfile={self.password_file}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        made = subprocess.run(  # noqa: S603  the machine's own initdb
            [self.programs / "initdb", f"--pgdata={self.folder}", f"--username={SUPERUSER}", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=self.user,
        )
        if made.returncode:
            raise ConfigurationError(f"PostgreSQL's initdb failed: {made.stderr.strip()}")

    def start(self, processes: Processes) -> str:
        """Serve on a free port of loopback; the address for Prefect, password included."""
        port = free_port()
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(port)]
        command = [self.programs / "postgres", "-D", self.folder, *options]
        processes.start("postgres", command, dict(os.environ), user=self.user, cwd=Path("/"))
        wait_until(lambda: _listens(port), "PostgreSQL", still_there=lambda: processes.check("postgres"))
        return f"postgresql+asyncpg://{SUPERUSER}:{self.password_file.read_text()}@127.0.0.1:{port}/postgres"


def start_postgres(processes: Processes) -> str:
    """Start the cluster of a state folder; its address for `PREFECT_API_DATABASE_CONNECTION_URL`.

    Raises:
        ConfigurationError: PostgreSQL is not installed, or cannot be run by this user.
    """
    cluster = Cluster(processes.folder / "postgres" / "data", find_programs(), unprivileged_user())
    cluster.create()
    return cluster.start(processes)


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`: Debian's newest, else the one in PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    if found is None:
        raise ConfigurationError(
            "PostgreSQL is not installed here. Install it (make system), or leave out DB=postgres."
        )
    return Path(found).parent


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: the user it runs as instead; none where we are not root."""
    if not is_root():
        return None
    import pwd  # noqa: PLC0415  not on Windows

    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise ConfigurationError("PostgreSQL does not run as root, and there is no user “postgres” or “nobody”.")


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
