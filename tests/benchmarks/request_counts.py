"""Requests to the platform of one export, by step: `python -m tests.benchmarks.request_counts`.

The command runs as its users run it, without a Prefect server, against the stand-in platform: first on a new machine,
then for another iModel with the token that the first command has saved, then once more with nothing to do.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import LoggedRequest
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.benchmarks.batch import REPOSITORY
from tests.benchmarks.report import machine, put_section

RUN_SECONDS = 30.0
BLOBS = "bytes from the blob host"
STEPS: tuple[tuple[str, str, str], ...] = (
    ("find the sign-in service", "GET", r"/\.well-known/openid-configuration"),
    ("sign in", "POST", r"/connect/token"),
    ("find the changeset", "GET", r"/imodels/[^/]+/changesets"),
    ("read the iModel's name and iTwin", "GET", r"/imodels/[^/]+"),
    ("list the export connections", "GET", r"/export/connections"),
    ("create a connection", "POST", r"/export/connections"),
    ("read the connection", "GET", r"/export/connections/[^/]+"),
    ("list its runs", "GET", r"/export/connections/[^/]+/runs"),
    ("start a run", "POST", r"/export/connections/[^/]+/runs"),
    ("look at the run", "GET", r"/export/connections/[^/]+/runs/[^/]+"),
    ("read the file's properties", "GET", r"/storage/files/[^/]+"),
    ("search the log", "GET", r"/storage/folders/[^/]+/search"),
    ("get a download link", "GET", r"/storage/files/[^/]+/download"),
    (BLOBS, "GET", r"/sandboxblobs/.+"),
)
BEFORE = {
    "find the sign-in service": (2, 1),
    "sign in": (2, 1),
    "find the changeset": (2, 1),
    "read the iModel's name and iTwin": (1, 0),
    "list the export connections": (1, 0),
    "create a connection": (1, 0),
    "read the connection": (1, 0),
    "list its runs": (1, 0),
    "start a run": (1, 0),
    "look at the run": (8, 0),
    "read the file's properties": (1, 0),
    "search the log": (1, 0),
    "get a download link": (2, 0),
    BLOBS: (4, 0),
}
"""Measured the same way before commands handed over what they had read: a new export, and an unchanged one."""


def step_of(entry: LoggedRequest) -> str:
    """The step that a request belongs to; a request of no step is named as it is."""
    for step, method, path in STEPS:
        if entry.method == method and re.fullmatch(path, entry.path):
            return step
    return f"{entry.method} {entry.path}"


def counted(entries: Iterable[LoggedRequest]) -> Counter[str]:
    """The number of requests by step."""
    return Counter(step_of(entry) for entry in entries)


def counted_export(box: RunningSandbox, folder: Path, imodel_id: str) -> Counter[str]:
    """The requests of one command."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
    places = {"PREFECT_HOME": str(folder / "home"), "ITWIN_OUTPUT_DIR": str(folder / "exports")}
    before = len(box.state.log)
    subprocess.run(
        [sys.executable, "-m", "deployments", "ifc", imodel_id, "--quiet"],
        env=inherited | box.environment | places,
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    return counted(list(box.state.log)[before:])


def table(columns: dict[str, Counter[str]]) -> str:
    """One line a step, and the sums."""
    lines = [f"| step | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    steps = [step for step, _, _ in STEPS if step != BLOBS]
    steps += sorted({step for column in columns.values() for step in column} - {*steps, BLOBS})
    rows = {step: [column[step] for column in columns.values()] for step in steps}
    rows["**to the platform**"] = [sum(counts) for counts in zip(*rows.values(), strict=True)]
    rows[BLOBS] = [column[BLOBS] for column in columns.values()]
    return "\n".join([*lines, *(f"| {step} | {' | '.join(map(str, counts))} |" for step, counts in rows.items())])


def main() -> None:
    """Count and write the section."""
    with (
        tempfile.TemporaryDirectory() as name,
        running_sandbox(options=Options(run_seconds=RUN_SECONDS)) as box,
    ):
        folder = Path(name)
        columns = {
            "new, before": Counter({step: counts[0] for step, counts in BEFORE.items()}),
            "new, first command of a machine": counted_export(box, folder, SEEDED.plant),
            "new, within an hour of another command": counted_export(box, folder, SEEDED.bridge),
            "unchanged, before": Counter({step: counts[1] for step, counts in BEFORE.items()}),
            "unchanged": counted_export(box, folder, SEEDED.plant),
        }
    text = f"""`python -m tests.benchmarks.request_counts`: `itwin-export ifc` without a Prefect server, an IFC
with its log, a remote run of {RUN_SECONDS:g} s.

{table(columns)}

{machine(["prefect", "httpx"])}
"""
    put_section("Requests of one export, by step", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
