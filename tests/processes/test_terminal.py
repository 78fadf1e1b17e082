"""An export on a real terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import HOUR, CliSandbox


def test_ctrl_c_leaves_a_clean_screen(cli_sandbox: CliSandbox) -> None:
    """A terminal shows what is waited for; after Ctrl-C its cursor is back, and the sentence is the last line."""
    cli_sandbox.sandbox.state.imodels[SEEDED.plant].run_seconds = HOUR
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "deployments", "ifc", SEEDED.plant]
    environment = cli_sandbox.environment | {"TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = _read_until(controller, b"NotStarted \xc2\xb7")
    process.send_signal(signal.SIGINT)
    shown += _read_until(controller, b"itwin-export: Interrupted.")
    assert process.wait(30) == 130
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert shown[shown.rindex(b"\x1b[?25h") :].startswith(b"\x1b[?25h\ritwin-export: Interrupted.")
    os.close(controller)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows, up to these bytes."""
    seen, deadline = b"", time.monotonic() + 90
    while wanted not in seen:
        assert time.monotonic() < deadline, seen.decode(errors="replace")
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    return seen
