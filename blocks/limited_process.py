"""Processes of their own for data of others: without secrets, with limits, ended with the process that started them.

Only the standard library is imported here, so that such a process starts fast.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
_SIGNAL_WHEN_PARENT_ENDS = 1  # PR_SET_PDEATHSIG of prctl(2)
_CPU_GRACE_SECONDS = 5


def module_command(module: str) -> list[str]:
    """Command that runs a module of this application; files of the working folder are not imported (`-P`)."""
    return [sys.executable, "-P", "-m", module]


def minimal_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that a process needs to run, and `more`; credentials and settings are not among them."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT), **more}  # threads reserve memory


def limit_this_process(parent: int, limits: Mapping[str, int]) -> None:
    """Set limits of `resource` by name, as `RLIMIT_DATA`, and end when the parent ends; call it first of all.

    `RLIMIT_CPU` ends the process with SIGXCPU. Windows has no such limits: there the parent ends the process in time.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  not on Windows

    for name, most in {**limits, "RLIMIT_CORE": 0}.items():
        with suppress(OSError, ValueError):  # the system allows less
            resource.setrlimit(getattr(resource, name), (most, most + _CPU_GRACE_SECONDS * (name == "RLIMIT_CPU")))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_WHEN_PARENT_ENDS, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # before any other process of the container
        if os.getppid() != parent:
            sys.exit("Its parent has ended.")
