"""How long a night of very many iModels takes, on paper: `python -m tests.benchmarks.hundred_thousand`.

Second by second, the iModels move through what is scarce: requests of the platform's budget, task runs that the Prefect
server digests, export runs that may be active. The figures of one export are counted from the calls of the flow.
"""

import sys
from collections import deque
from dataclasses import dataclass

REQUESTS_PER_LOOK = 1
TASK_RUNS_PER_LOOK = 1
REQUESTS_PER_EXPORT = 10
"""Besides the looks at the run: connection, runs, start, file, link, iModel."""
TASK_RUNS_PER_EXPORT = 7
LOOKS_PER_RUN = 12
"""Of a run of five minutes, with the usual pauses."""
PAGE = 1000


@dataclass(frozen=True)
class Night:
    """What is to be done, and with what.

    Args:
        changed: Share of the iModels that changed since last night.
        run_seconds: How long an export run takes at the platform.
        task_runs_per_second: What the Prefect server digests for all workers together.
        max_active: Export runs at once, of all workers together.
    """

    imodels: int = 100_000
    changed: float = 0.05
    run_seconds: int = 300
    requests_per_minute: int = 5000
    task_runs_per_second: float = 20.0
    max_active: int = 1000


@dataclass(frozen=True)
class Outcome:
    """How long it took, and for which share of that time each scarce thing was used up."""

    seconds: int
    requests: int
    used_up: dict[str, float]

    @property
    def wall(self) -> str:
        """What was used up for most of the time."""
        return max(self.used_up, key=lambda name: self.used_up[name])


def simulate(night: Night) -> Outcome:
    """One night, second by second."""
    requests = task_runs = 0.0
    to_look, to_start = float(night.imodels), 0.0
    active: deque[tuple[int, float]] = deque()
    used = {"requests": 0, "task runs": 0, "active runs": 0}
    sent = float(night.imodels // PAGE)
    second = 0
    while to_look > 0.01 or to_start > 0.01 or active:
        second += 1
        requests = min(requests, night.requests_per_minute) + night.requests_per_minute / 60
        task_runs = min(task_runs, night.task_runs_per_second) + night.task_runs_per_second
        while active and active[0][0] <= second:
            active.popleft()
        # Runs that are there cost their looks, whatever else is waiting.
        busy = sum(count for _, count in active)
        looks = min(busy * LOOKS_PER_RUN / night.run_seconds, requests)
        # Exports that are ready go before further iModels are looked at.
        room = max(0.0, night.max_active - busy)
        begun = min(to_start, room, (requests - looks) / REQUESTS_PER_EXPORT, task_runs / TASK_RUNS_PER_EXPORT)
        requests -= looks + begun * REQUESTS_PER_EXPORT
        task_runs -= begun * TASK_RUNS_PER_EXPORT
        looked = min(to_look, requests / REQUESTS_PER_LOOK, task_runs / TASK_RUNS_PER_LOOK)
        requests -= looked * REQUESTS_PER_LOOK
        task_runs -= looked * TASK_RUNS_PER_LOOK
        to_look -= looked
        to_start += looked * night.changed - begun
        sent += looks + begun * REQUESTS_PER_EXPORT + looked * REQUESTS_PER_LOOK
        if begun > 0:
            active.append((second + night.run_seconds, begun))
        used["requests"] += requests < REQUESTS_PER_LOOK
        used["task runs"] += task_runs < TASK_RUNS_PER_LOOK
        used["active runs"] += night.max_active - busy - begun < 1
    return Outcome(second, round(sent), {name: count / second for name, count in used.items()})


NIGHTS = {
    "Community tier (5000 an hour), 5 % changed": Night(requests_per_minute=83),
    "450 a minute (the default), 5 % changed": Night(requests_per_minute=450),
    "paid tier (5000/min), 1 % changed": Night(changed=0.01),
    "paid tier, 5 % changed": Night(),
    "paid tier, 5 % changed, 250 active": Night(max_active=250),
    "paid tier, 5 % changed, server of a team (45 task runs/s)": Night(task_runs_per_second=45),
    "paid tier, all changed, server of a team": Night(changed=1.0, task_runs_per_second=45),
    "the same, runs of half an hour": Night(changed=1.0, task_runs_per_second=45, run_seconds=1800),
}


def table() -> str:
    """All nights, as a table for people."""
    rows = ["| night of 100 000 iModels | hours | requests | used up first | of the time |", "|---|---|---|---|---|"]
    for name, night in NIGHTS.items():
        outcome = simulate(night)
        hours, thousands = outcome.seconds / 3600, outcome.requests / 1000
        rows.append(
            f"| {name} | {hours:.1f} | {thousands:.0f} k | {outcome.wall} | {outcome.used_up[outcome.wall]:.0%} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
