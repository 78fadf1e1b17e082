"""Processes that outlive the command that started them, and are found again to be stopped."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, TypeAdapter

from blocks.disk import open_private, write_whole
from blocks.errors import ConfigurationError

MARK = "ITWIN_EXPORT_STATE"
"""Every process we start inherits this variable, so that none of its descendants is overlooked."""
GRACE_SECONDS = 15.0
PRIVATE = 0o077
AS_USUAL = -1
"""For a process whose files are meant for others too."""
NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""What Windows has in place of sessions."""


class Started(BaseModel):
    """A process we started; the moment of its creation tells it from a later one with the same id."""

    name: str
    pid: int
    created: float

    def find(self) -> psutil.Process | None:
        """The process, if it still runs."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


_STARTED = TypeAdapter(list[Started])


class Processes:
    """What was started from one state folder: its notes, its logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._notes = folder / "processes.json"
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        user: str | None = None,
        cwd: Path | None = None,
        umask: int = PRIVATE,
    ) -> Started:
        """Start a process of its own group, which goes on without us; both of its streams go to its log.

        By default, nobody else may read the files that it makes.
        """
        with open(self.log_of(name), "ab", opener=open_private) as log:
            process = subprocess.Popen(  # noqa: S603  our own programs
                [str(part) for part in command],
                env={**environment, MARK: str(self.folder)},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user,
                extra_groups=[] if user else None,
                umask=-1 if os.name == "nt" else umask,
                start_new_session=os.name != "nt",
                creationflags=NEW_GROUP,
            )
        self._children.append(process)
        started = Started(name=name, pid=process.pid, created=psutil.Process(process.pid).create_time())
        self._write([*self._read(), started])
        return started

    def log_of(self, name: str) -> Path:
        """Where a process writes."""
        return self.private_folder() / f"{name}.log"

    def private_folder(self) -> Path:
        """The state folder, made for nobody but its owner."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Root's PostgreSQL runs as another user, who must get through to its own folder.
        self.folder.chmod(0o711 if is_root() else 0o700)
        return self.folder

    def running(self) -> list[Started]:
        """Those that still run, oldest first."""
        return [started for started in self._read() if started.find()]

    def ended(self) -> list[Started]:
        """Those that were started and do not run any more."""
        return [started for started in self._read() if not started.find()]

    def check(self, name: str) -> None:
        """Say so if a process has ended.

        Raises:
            ConfigurationError: It has; the message leads to its log.
        """
        if not any(started.name == name for started in self.running()):
            raise ConfigurationError(f"The {name} ended at once. What it said stands in {self.log_of(name)}.")

    def stop(self) -> list[str]:
        """End everything, the last started first, each with all its descendants; names of what was running."""
        names: list[str] = []
        for started in reversed(self._read()):
            if process := started.find():
                end_all([*process.children(recursive=True), process])
                names.append(started.name)
        end_all(list(self._orphaned_descendants()))
        for child in self._children:
            child.wait()
        self._notes.unlink(missing_ok=True)
        return names

    def _orphaned_descendants(self) -> Iterator[psutil.Process]:
        """Descendants whose parent went first."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_other = process.pid not in {os.getpid(), os.getppid()}
                if is_other and process.environ().get(MARK) == str(self.folder):
                    yield process

    def _read(self) -> list[Started]:
        return _STARTED.validate_json(self._notes.read_bytes()) if self._notes.exists() else []

    def _write(self, started: list[Started]) -> None:
        write_whole(self._notes, _STARTED.dump_json(started))


def is_root() -> bool:
    """True for the user that may become any other."""
    return os.name != "nt" and os.geteuid() == 0


def end_all(processes: Sequence[psutil.Process]) -> None:
    """Ask them to end, and make them after a while."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=GRACE_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=GRACE_SECONDS)
