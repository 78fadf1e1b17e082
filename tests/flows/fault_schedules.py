"""Generated faults for a whole export, the same for the same seed."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from blocks.itwin.api.exports import RunInput, RunOutput
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.options import OnActiveRun

REQUESTS = [
    ("POST", "/connect/token$"),
    ("GET", "/imodels/[^/]+/changesets"),
    ("GET", "/imodels/[^/]+$"),
    ("GET", "/export/connections$"),
    ("POST", "/export/connections$"),
    ("GET", "/runs$"),
    ("POST", "/runs$"),
    ("POST", "/runs$"),  # the request that matters most comes twice as often
    ("GET", "/runs/."),
    ("GET", "/runs/."),
    ("GET", "/storage/files/"),
    ("GET", "/storage/folders/"),
    ("GET", "/sandboxblobs/"),
]
FAULT_SETTINGS: list[dict[str, Any]] = [
    {"status": 429, "retry_after": 1, "count": 3},
    {"status": 429, "count": 1, "retry_after": 1, "retry_after_form": "date"},
    {"status": 503, "code": "Busy"},
    {"status": 500, "body": "<html>oh</html>"},
    {"status": 502, "effect": True},
    {"status": 500, "effect": True, "code": "Late"},
    {"cut": "before"},
    {"cut": "after"},
    {"cut": "after", "hold": 0.4},
    {"cut": "midway"},
    {"status": 200, "body": "<html>a portal</html>"},
    {"status": 200, "body": "{", "content_type": "application/json"},
    {"status": 200, "body": '{"run": null}', "content_type": "application/json"},
    {"delay": 0.7},
]
MISSING: dict[str, Any] = {"method": "GET", "path": "/runs/.", "status": 404, "code": "ConnectionRunNotFound"}
ENDINGS = [
    Outcome("Error"),
    Outcome("Success", task_result="Error"),
    Outcome("Canceled"),
    Outcome(content=b"<html>not yours</html>"),
    Outcome("PartialSuccess"),
    Outcome(active_state="Pondering"),
]
Event = Literal["delete connection", "revoke tokens", "push changeset"]
ForeignRun = Literal["other options", "older changeset"]


@dataclass(frozen=True)
class Schedule:
    """What happens to the exports of one folder.

    Args:
        faults: Faults of requests.
        events: After so many requests, something happens at the platform.
        interruptions: Seconds after which an attempt is interrupted, attempt by attempt; none: it may end by itself.
        together: Exports started at the same time.
        foreign_run: A run of somebody else that holds the iModel at the beginning.
        ending: How our first run ends.
    """

    seed: int
    faults: tuple[Fault, ...]
    events: tuple[tuple[int, Event], ...]
    interruptions: tuple[float | None, ...]
    together: int
    foreign_run: ForeignRun | None
    on_active_run: OnActiveRun
    ending: Outcome | None
    run_seconds: float

    @property
    def is_good_at_first(self) -> bool:
        """True if the first run we start delivers what is asked."""
        return self.ending is None or self.ending.active_state is not None or self.ending.result == "PartialSuccess"

    def __str__(self) -> str:
        faults = "; ".join(
            f"{f.method} {f.path} #{f.nth}x{f.count} {f.status or f.cut or f'delay {f.delay}'}{' effect' * f.effect}"
            for f in self.faults
        )
        return (
            f"seed {self.seed}: {self.together} together, interrupted {self.interruptions}, {faults or 'no faults'}, "
            f"events {self.events}, foreign run {self.foreign_run} ({self.on_active_run}), first run {self.ending}"
        )


def schedule_of(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(seed)  # noqa: S311  generated faults are no secret
    return Schedule(
        seed=seed,
        faults=tuple(_fault(chance) for _ in range(chance.choice([0, 1, 1, 2, 2, 3, 4]))),
        events=tuple(_event(chance) for _ in range(chance.choice([0, 0, 1]))),
        interruptions=tuple(chance.uniform(0.1, 2.5) if chance.random() < 0.35 else None for _ in range(2)),
        together=chance.choice([1, 1, 1, 2]),
        foreign_run=chance.choice([None, None, None, "other options", "older changeset"]),
        on_active_run=chance.choice(["wait", "wait", "adopt", "fail"]),
        ending=chance.choice([None, None, None, None, *ENDINGS]),
        run_seconds=chance.uniform(0.2, 1.2),
    )


def _fault(chance: random.Random) -> Fault:
    if chance.random() < 0.1:
        return Fault(**MISSING)
    method, path = chance.choice(REQUESTS)
    usual: dict[str, Any] = {"count": chance.choice([1, 1, 2]), "nth": chance.choice([1, 1, 2, 3])}
    return Fault(path=path, method=method, **{**usual, **chance.choice(FAULT_SETTINGS)})


def _event(chance: random.Random) -> tuple[int, Event]:
    events: list[Event] = ["delete connection", "revoke tokens", "push changeset"]
    return chance.randrange(3, 20), chance.choice(events)


@dataclass
class FaultInjector:
    """Lets a schedule happen to a platform."""

    schedule: Schedule
    sandbox: RunningSandbox
    deleted: list[str] = field(default_factory=list[str])

    async def happen(self) -> None:
        """The events, each when its time has come; never returns by itself."""
        state = self.sandbox.state
        for after, event in sorted(self.schedule.events):
            await _reached(lambda after=after: len(state.log) >= after)
            match event:
                case "delete connection":
                    self._delete_idle_connections()
                case "revoke tokens":
                    state.tokens.revoke_access_tokens()
                case "push changeset":
                    state.push_changeset(SEEDED.plant)

    def _delete_idle_connections(self) -> None:
        """As the platform lets people do: a connection without runs goes."""
        connections = self.sandbox.state.connections
        for connection in list(connections.values()):
            if not connection.runs:
                del connections[connection.id]
                self.deleted.append(connection.id)


async def _reached(there: Callable[[], bool]) -> None:
    while not there():  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.01)


def foreign_input(kind: ForeignRun, older: str) -> tuple[RunInput, RunOutput]:
    """What somebody else exports."""
    asked = RunInput("IFC2x3") if kind == "other options" else RunInput("IFC4.3", older)
    return asked, RunOutput("STORAGE")
