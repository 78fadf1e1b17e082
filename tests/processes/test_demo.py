"""The demo leaves no process behind, however it is ended."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.deployments.local.stack import clean_environment
from tests.processes.commands import until


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.crash), signal.SIGKILL])
def test_a_signal_ends_all_processes_of_the_demo(tmp_path: Path, number: signal.Signals) -> None:
    """Prefect's server and Azurite end with the demo, also where its command is killed."""
    command = [sys.executable, "-m", "deployments", "demo", "--output-dir", str(tmp_path)]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL) as process:
        demo = psutil.Process(process.pid)
        until(lambda: names_of(demo) >= {"azurite", "deployments.local.prefect_server"}, "the demo's servers")
        started = demo.children(recursive=True)
        process.send_signal(number)
        until(lambda: not any(is_alive(one) for one in started), "the end of them all")
        assert process.wait() == (130 if number is signal.SIGTERM else -signal.SIGKILL)


def names_of(process: psutil.Process) -> set[str]:
    """What its descendants were started as."""
    try:
        said = " ".join(" ".join(child.cmdline()) for child in process.children(recursive=True))
    except psutil.Error:  # one has just ended
        return set()
    return {name for name in ("azurite", "deployments.local.prefect_server") if name in said}


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; nobody may have collected what has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
