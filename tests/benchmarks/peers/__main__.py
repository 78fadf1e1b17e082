"""One IFC export in other hands: `python -m tests.benchmarks.peers [--rounds N] [--environments FOLDER]`.

Each peer has an environment of its own, made from its requirements file. All export the same iModel of the same
stand-in platform: once when it is new, once more with nothing changed, and after they were killed while the platform
worked. Writes its section of REPORT.md.
"""

import argparse
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage

import psutil

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.benchmarks.batch import REPOSITORY
from tests.benchmarks.report import machine, put_section
from tests.benchmarks.request_counts import BLOBS, counted

HERE = Path(__file__).parent
CALLS = HERE / "itwin_calls.py"
RUN_SECONDS = 10.0
LIMIT_SECONDS = 600
LOOK_SECONDS = 0.3
OURS = "itwin_export"


@dataclass(frozen=True)
class Peer:
    """Somebody else's way to export.

    Attributes:
        label: For the table.
        command: What a person types, with the interpreter of its environment and the iModel.
        prepare: Commands that an installation needs once; they are not measured.
    """

    label: str
    command: Callable[[Path, str], list[str]]
    prepare: tuple[str, ...] = ()


def _script(name: str) -> Callable[[Path, str], list[str]]:
    return lambda python, imodel_id: [str(python), str(HERE / name), imodel_id]


def _airflow(python: Path, imodel_id: str) -> list[str]:
    conf = json.dumps({"imodel_id": imodel_id})
    return [str(python.with_name("airflow")), "dags", "test", "export_ifc", "--conf", conf]


def _ours(python: Path, imodel_id: str) -> list[str]:
    return [str(python), "-m", "deployments", "ifc", imodel_id, "--quiet"]


PEERS = {
    OURS: Peer("itwin-export ifc", _ours),
    "httpx_script": Peer("bare httpx script", _script("httpx_script/export.py")),
    "prefect_stock": Peer("Prefect flow of three tasks", _script("prefect_stock/flow.py")),
    "dagster_job": Peer("Dagster job of three ops", _script("dagster_job/job.py")),
    "airflow_dag": Peer("Airflow DAG, deferrable (`dags test`)", _airflow, ("airflow", "db", "migrate")),
}


@dataclass(frozen=True)
class Measured:
    """What one command took, with the processes that it started; memory is that of all at once."""

    seconds: float
    cpu: float
    megabytes: float
    requests: int
    runs: int


def lines_of_code(name: str) -> int:
    """Lines with code; docstrings, comments and blank lines do not count."""
    if name == OURS:
        return 1
    return sum(_code_lines(path) for path in [CALLS, *(HERE / name).glob("*.py")])


def _code_lines(path: Path) -> int:
    kinds = {tokenize.NAME, tokenize.OP, tokenize.NUMBER}
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return len({token.start[0] for token in tokens if token.type in kinds})


def interpreter(name: str, folder: Path) -> Path:
    """The Python of a peer's environment, which is made if it is not there."""
    if name == OURS:
        return Path(sys.executable)
    python = folder / name / "bin" / "python"
    if not python.exists():
        sys.stderr.write(f"installing {name}\n")
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        requirements = HERE / name / "requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    return python


class Trial:
    """One peer with a home of its own, and a stand-in platform that nobody else uses."""

    def __init__(self, name: str, python: Path, box: RunningSandbox, folder: Path) -> None:
        self._peer = PEERS[name]
        self._python = python
        self._box = box
        self._output = folder / "exports"
        self._log = folder / "log"
        self._environment = _environment(name, folder, box)
        if self._peer.prepare:
            program, *rest = self._peer.prepare
            subprocess.run([python.with_name(program), *rest], env=self._environment, check=True, capture_output=True)

    def export(self, imodel_id: str) -> Measured:
        """Run the command to its end."""
        before, started = len(self._box.state.log), time.perf_counter()
        process = self._start(imodel_id)
        usage, megabytes = _waited_for(process)
        seconds = time.perf_counter() - started
        if process.returncode or not self._is_exported():
            raise RuntimeError(f"{self._peer.label} failed:\n{self._log.read_text()[-3000:]}")
        steps = counted(list(self._box.state.log)[before:])
        return Measured(
            seconds=seconds,
            cpu=usage.ru_utime + usage.ru_stime,
            megabytes=megabytes,
            requests=steps.total() - steps[BLOBS],
            runs=len(self._box.state.runs_of(imodel_id)),
        )

    def kill_midway(self, imodel_id: str) -> None:
        """Start the command and kill its process group once the platform works, then let that end."""
        process = self._start(imodel_id)
        ends = time.monotonic() + LIMIT_SECONDS
        while not self._box.state.runs_of(imodel_id) and time.monotonic() < ends:
            time.sleep(0.1)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(RUN_SECONDS + 1)

    def _start(self, imodel_id: str) -> subprocess.Popen[bytes]:
        command = self._peer.command(self._python, imodel_id)
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command, env=self._environment, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
            )

    def _is_exported(self) -> bool:
        files = list(self._output.rglob("*.ifc"))
        return bool(files) and all(file.read_bytes().rstrip().endswith(b"END-ISO-10303-21;") for file in files)


def _waited_for(process: subprocess.Popen[bytes]) -> tuple[struct_rusage, float]:
    """Processor time of a process and its children, and the most memory in MB that they had at once."""
    watched, peak = psutil.Process(process.pid), 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage, peak / 1e6
        peak = max(peak, _resident(watched))
        time.sleep(LOOK_SECONDS)


def _resident(process: psutil.Process) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def _environment(name: str, folder: Path, box: RunningSandbox) -> dict[str, str]:
    """What each tool needs to keep its own things in a folder, and the way to the platform."""
    strangers = ("PREFECT_", "ITWIN_", "PYTHON", "AIRFLOW", "DAGSTER")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    homes = {tool: folder / tool.lower() for tool in ("PREFECT_HOME", "DAGSTER_HOME", "AIRFLOW_HOME")}
    for home in homes.values():
        home.mkdir()
    return (
        kept
        | {key: value for key, value in box.environment.items() if key.startswith("ITWIN_")}
        | {tool: str(home) for tool, home in homes.items()}
        | {"OUTPUT_DIR": str(folder / "exports"), "ITWIN_OUTPUT_DIR": str(folder / "exports"), "ITWIN_PREVIEW": "off"}
        | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"}
        | {"AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "airflow_dag"), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
        | ({} if name == OURS else {"PYTHONPATH": str(HERE)})
    )


def try_peer(name: str, python: Path) -> dict[str, Measured]:
    """A new export, the same with nothing changed, and one after a kill."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        running_sandbox(options=Options(run_seconds=RUN_SECONDS)) as box,
    ):
        trial = Trial(name, python, box, Path(folder))
        found = {"new": trial.export(SEEDED.plant), "unchanged": trial.export(SEEDED.plant)}
        trial.kill_midway(SEEDED.bridge)
        return found | {"killed": trial.export(SEEDED.bridge)}


def row(name: str, rounds: list[dict[str, Measured]], ours: float) -> str:
    """One line of the table."""

    def median(values: Iterable[float]) -> float:
        return statistics.median(values)

    new, unchanged = [one["new"] for one in rounds], [one["unchanged"] for one in rounds]
    seconds = median(one.seconds for one in new)
    cells = [
        PEERS[name].label,
        lines_of_code(name),
        f"{ours / seconds:.2f}",
        f"{seconds:.1f}",
        f"{median(one.cpu for one in new):.1f}",
        f"{max(one.megabytes for one in new):.0f}",
        round(median(one.requests for one in new)),
        f"{median(one.seconds for one in unchanged):.1f}",
        round(median(one.requests for one in unchanged)),
        max(one.runs for one in unchanged) - 1,
        max(one["killed"].runs for one in rounds),
    ]
    return f"| {' | '.join(map(str, cells))} |"


HEAD = (
    "peer", "lines of user code", "ours ÷ it, new", "new: seconds", "CPU seconds", "peak MB",
    "requests", "unchanged: seconds", "requests", "remote runs", "killed midway: remote runs in all",
)  # fmt: skip


def report(found: dict[str, list[dict[str, Measured]]]) -> str:
    """What was measured, in words and a table."""
    ours = statistics.median(one["new"].seconds for one in found[OURS])
    rows = [row(name, rounds, ours) for name, rounds in found.items()]
    return f"""`python -m tests.benchmarks.peers`: one IFC with its log, a remote run of {RUN_SECONDS:g} s, from
a cold start and without any server, {len(found[OURS])} rounds in turn, medians. The peers check nothing but the status;
ours checks ranges, sizes and content, and writes manifest, content report and records. No pictures are drawn. “Killed”:
the process group of the command is killed while the platform works, and the command is given again when that has ended.

| {" | ".join(HEAD)} |
|{"---|" * len(HEAD)}
{chr(10).join(rows)}

{machine(["prefect", "httpx"])}
* {", ".join(sorted(_requirements(found)))}
"""


def _requirements(names: Iterable[str]) -> set[str]:
    files = [HERE / name / "requirements.txt" for name in names if name != OURS]
    return {line.replace("==", " ") for file in files for line in file.read_text().split()}


def main() -> None:
    """Measure all peers in turn and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--environments", type=Path, help="Folder that keeps the environments; a temporary one by default."
    )
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Measured]]] = {name: [] for name in PEERS}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = arguments.environments or Path(temporary)
        pythons = {name: interpreter(name, folder) for name in PEERS}
        for number in range(arguments.rounds):
            for name, rounds in found.items():
                rounds.append(try_peer(name, pythons[name]))
                sys.stderr.write(f"round {number + 1}: {name} {rounds[-1]}\n")
    text = report(found)
    put_section("One export in other hands", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
