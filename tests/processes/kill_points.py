"""Every step of the flow at which its process can die, told by the request that belongs to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import CliSandbox, holds, until

RUNS = "/export/connections/[^/]+/runs$"
ONE_RUN = "/export/connections/[^/]+/runs/."


@dataclass(frozen=True)
class KillPoint:
    """A moment in the flow: a request that is held, or files that are there.

    Args:
        name: What the flow is doing.
        path: The request that is held; the process dies while it waits for the answer.
        fault: More about that request.
        lost: The path of an earlier POST that takes effect and gets no answer.
        is_representative: Stands for the points beside it in the quick tests.
        files: In place of a request: dies as soon as a file of this pattern lies in the output folder.
        says: What such a file must contain.
    """

    name: str
    path: str = ""
    method: str = "GET"
    fault: dict[str, Any] = field(default_factory=dict[str, Any])
    files: str = ""
    says: str = ""
    lost: str = ""
    is_representative: bool = False

    def arm(self, cli_sandbox: CliSandbox) -> Callable[[], bool]:
        """Make the moment last; the function tells when it is there."""
        if self.lost:
            cli_sandbox.sandbox.state.faults.add(Fault(path=self.lost, method="POST", cut="after"))
        if self.files:
            return lambda: holds(cli_sandbox.folder, self.files, self.says)
        fault = cli_sandbox.hold(self.path, self.method, **self.fault)
        if self.fault is EFFECT:
            return lambda: fault.effects > 0
        return lambda: fault.hits > 0


EFFECT: dict[str, Any] = {"delay": 0, "cut": "after", "hold": 4.0}
"""The request takes effect at once; its answer is held, and then lost."""

KILL_POINTS = [
    KillPoint("signing in", "/connect/token$", "POST"),
    KillPoint("resolving the changeset", f"/imodels/{SEEDED.plant}/changesets"),
    KillPoint("reading the iModel", f"/imodels/{SEEDED.plant}$"),
    KillPoint("looking for the connection", "/export/connections$"),
    KillPoint("asking for the connection", "/export/connections$", "POST"),
    KillPoint("having made the connection without knowing", "/export/connections$", "POST", EFFECT),
    KillPoint("looking for runs of a connection that it found", RUNS, lost="/export/connections$"),
    KillPoint("having started a run without knowing", RUNS, "POST", EFFECT, is_representative=True),
    KillPoint("asking for a run, which never starts", RUNS, "POST", {"cut": "before"}),
    KillPoint("looking for the run whose answer was lost", RUNS, lost=RUNS),
    KillPoint("the first look at the run", ONE_RUN),
    KillPoint("waiting for the run", ONE_RUN, "GET", {"nth": 3}),
    KillPoint("beginning to fetch", "/storage/files/[^/]+$"),
    KillPoint("asking for the file's link", "/storage/files/[^/]+/download$"),
    KillPoint("fetching the file", "/sandboxblobs/", is_representative=True),
    KillPoint("fetching the log", "/sandboxblobs/", "GET", {"nth": 3}),
    KillPoint("having fetched everything, before publishing", files=".itwin-export/**/*.log"),
    KillPoint("having published the file, perhaps not its manifest", files="ifc/*.ifc", is_representative=True),
    KillPoint("having published everything", files="ifc/manifest.json"),
]


def kill_at(point: KillPoint, cli_sandbox: CliSandbox) -> None:
    """Start an export and kill its process at this moment."""
    is_there = point.arm(cli_sandbox)
    command = cli_sandbox.start()
    until(is_there, point.name)
    command.kill()
