"""One command line with hostile input, and what must hold whatever it is."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes.server import REPOSITORY

PROMISED = {0, 1, 2, 3, 4, 5, 130}
"""Exit codes of the command."""
LONGEST_ERROR = 20_000
"""Bytes of standard error: a text of 10,000 characters with escapes, and the log of a flow run."""
LONGEST_SECONDS = 300.0
SERVING_SECONDS = 8.0
"""Commands that serve, or wait for a sign-in, are interrupted after that."""
SECRET = "hostile-secret-4711"
"""Stands in every value that must not be repeated."""
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STATE = {".itwin-export", "prefect", "home", "tmp"}

Prepare = Callable[[Path], object]


def nothing(folder: Path) -> None:
    """No preparation."""
    del folder


@dataclass(frozen=True)
class Case:
    """A command line, its surroundings, and texts of which the sentence must have one if the command is refused."""

    arguments: tuple[str, ...]
    named: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    prepare: Prepare = nothing
    serves: bool = False
    user: int | None = None

    @property
    def title(self) -> str:
        """The command as a person would read it, shortened."""
        words = [*(f"{name}={value}" for name, value in self.environment.items()), *self.arguments]
        return " ".join(ascii(word)[1:-1][:70] for word in words)[:300]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    output: str
    errors: str
    is_late: bool
    made: frozenset[str]


def run_case(case: Case, environment: Mapping[str, str], folder: Path) -> Ended:
    """Run the command in an empty folder of its own."""
    for name in ("home", "prefect", "tmp"):
        (folder / name).mkdir(parents=True)
    case.prepare(folder)
    before = _files(folder)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "deployments", *case.arguments],
        env={**_surroundings(folder), **environment, **case.environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        user=case.user,
        group=case.user,
        extra_groups=None if case.user is None else [],
        process_group=0,
    )
    (output, errors), is_late = _end_of(process, case)
    made = frozenset(_files(folder) - before)
    texts = [stream.decode(errors="surrogateescape") for stream in (output, errors)]
    return Ended(process.returncode, *texts, is_late=is_late, made=made)


def _end_of(process: "subprocess.Popen[bytes]", case: Case) -> tuple[tuple[bytes, bytes], bool]:
    try:
        return process.communicate(timeout=SERVING_SECONDS if case.serves else LONGEST_SECONDS), False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=20), not case.serves
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate(), True


def _surroundings(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
    return kept | {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PYTHONPATH": str(REPOSITORY),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def _files(folder: Path) -> set[str]:
    """Files that are left, besides those of Prefect and unfinished work that the next run takes up."""
    found: set[str] = set()
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _STATE]
        found.update(str((Path(parent) / name).relative_to(folder)) for name in names)
    return found


def _has_any(sentence: str, names: tuple[str, ...]) -> bool:
    return any(name.lower() in sentence.lower() for name in names)


def faults_of(case: Case, ended: Ended) -> list[str]:
    """What does not hold of the promises about every command."""
    text, last = ended.output + ended.errors, (ended.errors.splitlines() or [""])[-1]
    is_refused = ended.exit_code not in {0, 130}
    promises = {
        "it does not end": not ended.is_late,
        "a stack trace": "Traceback" not in text and "Exception ignored" not in text,
        f"exit code {ended.exit_code}": ended.exit_code in PROMISED,
        f"{len(ended.errors)} characters of errors": len(ended.errors.encode(errors="replace")) <= LONGEST_ERROR,
        "control characters": not _RAW.search(text),
        "a secret": SECRET not in text,
        "no sentence at the end": not is_refused or last.startswith("itwin-export: "),
        f"not named: {case.named}": not (is_refused and case.named) or _has_any(last, case.named),
        f"left behind: {sorted(ended.made)[:5]}": not is_refused or not ended.made,
    }
    return [fault for fault, holds in promises.items() if not holds]
