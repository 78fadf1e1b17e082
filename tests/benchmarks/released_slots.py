"""Slots of a process worker while many exports wait: `while_waiting=release` beside `hold`, for the same time.

`python -m tests.benchmarks.released_slots`: two Prefect servers, each with a worker of the same limit and a stand-in
platform of its own, are asked for all exports at once. Writes its section of REPORT.md and its picture.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.entities import IModel, Run
from deployments.sandbox.state.options import Options
from tests.benchmarks.report import machine, put_section
from tests.benchmarks.slots_plot import PLOT, Sample, draw
from tests.processes.released_machine import ReleasedMachine, running
from tests.processes.test_crash_restarts import free_port

GRACE = timedelta(seconds=60)
"""Besides a tenth of its age, until the end of a remote run must have been noticed."""


@dataclass
class Side:
    """The exports of one machine, and what was seen of them."""

    machine: ReleasedMachine
    while_waiting: str
    exports: dict[str, IModel] = field(default_factory=dict[str, IModel])
    """By the id of the flow run."""
    samples: list[Sample] = field(default_factory=list[Sample])

    @property
    def folder(self) -> Path:
        """Where they are published."""
        return self.machine.folder / "exports"

    @property
    def has_ended(self) -> bool:
        """Whether all are published and no process works on one."""
        return self.samples[-1].published == len(self.exports) and not self.samples[-1].slots

    @property
    def runs(self) -> list[Run]:
        return list(self.machine.sandbox.state.runs)

    def start(self, count: int) -> None:
        """Ask for all exports."""
        for number in range(count):
            imodel = self.machine.add_imodel(f"Model {number}")
            self.exports[self.machine.start_export("ifc", imodel, self.folder, self.while_waiting)] = imodel

    def sample(self, seconds: float) -> None:
        """Note what there is now."""
        self.machine.keep_running()
        executing, now = self.machine.executing(), self.machine.sandbox.state.clock.now()
        working = {run.imodel_id for run in self.runs if now < ended_at(run)}
        held = sum(self.exports[flow_run].id in working for flow_run in executing if flow_run in self.exports)
        published = sum(1 for _ in self.folder.glob("*/ifc/manifest.json"))
        self.samples.append(Sample(seconds, len(executing), held, len(working), published))

    def facts(self) -> dict[str, float]:
        """What is told of it."""
        runs = Counter(run.imodel_id for run in self.runs)
        wanted = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}, "id": {"any_": list(self.exports)}}}
        return {
            "asked for": len(self.exports),
            "ended well": self.machine.ask("POST", "/flow_runs/count", wanted),
            "most remote runs of one export": max(runs.values(), default=0),
            "most exports at work at the platform at once": max(one.working for one in self.samples),
            "slots in use, on average": mean([one.slots for one in self.samples]),
            "of these with an export that waits for the platform": mean([one.held for one in self.samples]),
        }

    def delays(self) -> list[timedelta]:
        """From the end of each remote run until its flow run was resumed."""
        ends = {run.imodel_id: ended_at(run) for run in self.runs}
        return [
            datetime.fromisoformat(state["timestamp"]) - ends[imodel.id]
            for flow_run, imodel in self.exports.items()
            for state in self.machine.states(flow_run)
            if state["name"] == "Resuming"
        ]


def ended_at(run: Run) -> datetime:
    """When the platform is done with a run."""
    return run.started_at + timedelta(seconds=run.seconds)


def mean(values: list[int]) -> float:
    return round(statistics.fmean(values), 2)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Side]:
    """Both at the same time, until all exports that release their worker have ended."""
    with ExitStack() as stack:
        sides: dict[str, Side] = {}
        for name, parts in (("release", ("server", "worker", "follower")), ("hold", ("server", "worker"))):
            sandbox = stack.enter_context(running_sandbox(options=Options(run_seconds=arguments.run_seconds)))
            (folder / name).mkdir()
            settings = {"ITWIN_POLL_SECONDS": "5", "PREFECT_WORKER_QUERY_SECONDS": "2"}
            made = ReleasedMachine(folder / name, sandbox, free_port(), arguments.limit, settings, parts)
            sides[name] = Side(stack.enter_context(running(made)), name)
        for side in sides.values():
            side.start(arguments.exports)
        follow(sides, arguments.longest_minutes * 60)
        sys.stdout.write(f"{json.dumps(told(sides, arguments))}\n")
        write_report(sides, arguments)
        return sides


def follow(sides: dict[str, Side], longest: float) -> None:
    """Look at both once a second."""
    began = time.monotonic()
    while (seconds := time.monotonic() - began) < longest:
        for side in sides.values():
            side.sample(seconds)
        if sides["release"].has_ended:
            return
        time.sleep(max(0, began + seconds + 1 - time.monotonic()))


def told(sides: dict[str, Side], arguments: argparse.Namespace) -> dict[str, object]:
    """The figures."""
    delays = sorted(delay.total_seconds() for delay in sides["release"].delays())
    bound = 0.1 * arguments.run_seconds + GRACE.total_seconds()
    return {
        "facts": {name: side.facts() for name, side in sides.items()},
        "minutes": round(sides["release"].samples[-1].seconds / 60, 1),
        "resumed": len(delays),
        "delay_median": round(statistics.median(delays), 1) if delays else None,
        "delay_longest": round(delays[-1], 1) if delays else None,
        "delay_bound": bound,
    }


def write_report(sides: dict[str, Side], arguments: argparse.Namespace) -> None:
    """The picture, and what it shows in words."""
    draw({name: side.samples for name, side in sides.items()}, arguments.limit)
    found, facts = told(sides, arguments), {name: side.facts() for name, side in sides.items()}
    rows = [f"| {name} | {facts['release'][name]:g} | {facts['hold'][name]:g} |" for name in facts["release"]]
    text = f"""`python -m tests.benchmarks.released_slots`: {arguments.exports} exports asked for at once
on one process worker with limit {arguments.limit}; each takes the platform {arguments.run_seconds:g} s. `release` gives
the worker back at once (`ITWIN_RELEASE_AFTER_SECONDS=0`) and has a lasting `follow-runs` that looks every 5 s. `hold`
ran beside it for the same {found["minutes"]} minutes, with a server and a platform of its own on the same cores; it was
not to end.

| in these minutes | release | hold |
|---|---|---|
{chr(10).join(rows)}

From the end of a remote run until its flow run was resumed: median {found["delay_median"]} s, longest
{found["delay_longest"]} s (a tenth of the age and a minute: {found["delay_bound"]:g} s), {found["resumed"]} resumed.

![Slots of the worker over time]({PLOT.name})

{machine(["prefect", "matplotlib"])}
"""
    put_section("Slots of a worker while exports wait", text)


def main() -> None:
    """Measure, print the figures, and write the section of the report and its plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=200)
    parser.add_argument("--run-seconds", type=float, default=180)
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--longest-minutes", type=float, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="itwin-export-bench-", ignore_cleanup_errors=True) as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
