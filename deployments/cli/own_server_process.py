"""The process of a command's own Prefect server: how it is started, waited for and ended.

A module of its own, for Prefect's server takes two seconds to import, which commands beside a server need not spend.
"""

import atexit
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO
from urllib.parse import urlsplit

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, get_current_settings

from blocks.errors import ConfigurationError, without_secrets
from deployments.pull import PROJECT
from deployments.stop_signals import stop_signals

_STOP_SECONDS = 5.0
_NAMED_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")
_LONGEST_WORDS = 300
_VARIABLES = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",  # why it does not start; shown only then
}


class OwnServer(SubprocessASGIServer):
    """Prefect keeps one server a process, of whatever class was made first: once this is made, Prefect uses it.

    Prefect's own listens for every user of the machine, and goes on when its process is killed.
    """

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        self._starting = threading.Lock()

    def start(self, timeout: int | None = None) -> None:
        """Start the server, once, and wait until it serves.

        Raises:
            ConfigurationError: It does not start.
        """
        with self._starting, tempfile.TemporaryFile() as words:
            if not self.running:
                atexit.register(self.stop)
                self.server_process = _started_process(words)
                seconds = timeout or PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
                self.port = urlsplit(_first_line(self.server_process, seconds, words)).port
                self.running = True

    def stop(self) -> None:
        """End the server: its standard input closes, as it would if this process were killed."""
        process, self.server_process = self.server_process, None
        super().stop()
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started_process(words: IO[bytes]) -> "subprocess.Popen[str]":
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    search = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "deployments.local.prefect_server", "--until-stdin-closes"],
        env=os.environ | settings | _VARIABLES | {"PYTHONPATH": search},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        start_new_session=os.name != "nt",  # Ctrl-C is for the command, which still tells the server how it ended
    )


def _first_line(process: "subprocess.Popen[str]", seconds: float, words: IO[bytes]) -> str:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        with stop_signals.raising():
            line = process.stdout.readline() if process.stdout else ""
    finally:
        timer.cancel()
    if not line:
        raise ConfigurationError(_not_started(process.wait(), seconds, last_error_line(words)))
    return line.strip()


def _not_started(exit_code: int, seconds: float, said: str) -> str:
    is_slow = exit_code == -signal.SIGKILL
    how = (
        f"was not ready within {seconds:g} seconds (PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS)"
        if is_slow
        else f"ended with exit code {exit_code}"
    )
    return (
        f"The temporary Prefect server of this command {how}. Its last words: {said or 'none.'} Its data are in "
        f"{get_current_settings().home}: set PREFECT_HOME to another folder, or PREFECT_API_URL to a server of yours."
    )


def last_error_line(words: IO[bytes]) -> str:
    """The last line that names an error, else the last line at all."""
    words.seek(0)
    lines = [line.strip() for line in words.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and "Application startup failed" not in line]
    named = [line for line in lines if _NAMED_ERROR.match(line)]
    return without_secrets((named or lines or [""])[-1])[:_LONGEST_WORDS]
