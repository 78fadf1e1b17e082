"""Exports that wait without a process while parts are killed, and what must hold for each at the end."""

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from deployments.sandbox.state.entities import IModel
from tests.processes.release_schedules import Kill, Phase, ReleaseSchedule
from tests.processes.released_machine import LONGEST_UNCLAIMED, ReleasedMachine

LONGEST = 300.0
"""Seconds in which the exports of a schedule must end well."""


@dataclass
class ReleasedExport:
    """A flow run that exports an iModel of its own."""

    machine: ReleasedMachine
    kind: str
    imodel: IModel
    output_dir: Path
    retries: int = 0
    silent_since: float | None = None

    @cached_property
    def flow_run_id(self) -> str:
        return self.machine.start_export(self.kind, self.imodel, self.output_dir)

    @property
    def remote_ids(self) -> list[str]:
        """The runs, or tilesets, that the platform made of the iModel."""
        state = self.machine.sandbox.state
        if self.kind == "ifc":
            return [run.id for run in state.runs if run.imodel_id == self.imodel.id]
        return [mesh.id for mesh in state.meshes.exports.values() if mesh.imodel.id == self.imodel.id]

    @property
    def has_ended(self) -> bool:
        """Whether the platform is done."""
        state = self.machine.sandbox.state
        if self.kind == "ifc":
            return any(run.imodel_id == self.imodel.id and run.finished_at for run in state.runs)
        meshes = [mesh for mesh in state.meshes.exports.values() if mesh.imodel.id == self.imodel.id]
        return any(mesh.status(state.clock.now()) == "Complete" for mesh in meshes)

    @property
    def is_waiting(self) -> bool:
        """Whether its flow run is suspended."""
        return self.machine.ask("GET", f"/flow_runs/{self.flow_run_id}")["state_name"] == "Suspended"

    def settle(self, executing: set[str]) -> bool:
        """True if it ended well; one that lost its process, or failed, is retried as with the button of the UI."""
        found = self.machine.ask("GET", f"/flow_runs/{self.flow_run_id}")["state_type"]
        assert found != "CANCELLED", self.history()
        if found in {"PENDING", "RUNNING"} and self.flow_run_id not in executing:
            self.silent_since = self.silent_since or time.monotonic()
            if time.monotonic() - self.silent_since > LONGEST_UNCLAIMED:
                self.machine.set_state(self.flow_run_id, "CRASHED", "Crashed")
        else:
            self.silent_since = None
        if found in {"CRASHED", "FAILED"} and self.flow_run_id not in executing:
            self.retries += 1
            self.machine.set_state(self.flow_run_id, "SCHEDULED", "AwaitingRetry")
        return found == "COMPLETED" and self.flow_run_id not in executing

    def history(self) -> str:
        """Its states, as a person reads them."""
        return "; ".join(
            f"{state['timestamp'][11:19]} {state['name']} {state['message'] or ''}"[:300]
            for state in self.machine.states(self.flow_run_id)
        )

    def names(self) -> list[str]:
        """The names of its states, oldest first."""
        return [str(state["name"]) for state in self.machine.states(self.flow_run_id)]

    def check(self) -> None:
        """One remote run, its files whole, resumed once each time that it was suspended, told once."""
        assert len(self.remote_ids) == 1, f"{len(self.remote_ids)} remote runs"
        self._check_files()
        names = Counter(self.names())
        assert names["Resuming"] <= names["Suspended"], f"resumed twice: {dict(names)}"
        told = Counter(event["event"] for event in self.events())
        unexpected = {name for name in told if name not in {"itwin.export.published", "itwin.export.skipped"}}
        assert not unexpected or self.retries, f"told {told}"
        assert max(told.values(), default=0) <= 1, f"told twice: {told}"

    def events(self) -> list[dict[str, Any]]:
        """What its flow run told."""
        wanted = {"event": {"prefix": ["itwin."]}, "related": {"id": [f"prefect.flow-run.{self.flow_run_id}"]}}
        return list(self.machine.ask("POST", "/events/filter", {"filter": wanted})["events"])

    def _check_files(self) -> None:
        folder = self.output_dir / self.imodel.id / self.kind
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["run_id"] == self.remote_ids[0]
        assert manifest["changeset_id"] == self.imodel.changesets[0].id
        blobs = self.machine.sandbox.state.blobs
        if self.kind == "mesh":
            wanted = {name: blob.read() for name, blob in blobs.containers[manifest["run_id"]].items()}
            assert {name: (folder / name).read_bytes() for name in wanted} == wanted
            return
        (run,) = [run for run in self.machine.sandbox.state.runs if run.imodel_id == self.imodel.id]
        blob = blobs.get("files", run.output_file_id or "")
        assert blob is not None
        (model,) = folder.glob("*.ifc")
        assert hashlib.sha256(model.read_bytes()).digest() == hashlib.sha256(blob.read()).digest()


@dataclass
class ReleaseScenario:
    """A schedule that is being run."""

    machine: ReleasedMachine
    schedule: ReleaseSchedule
    folder: Path
    exports: list[ReleasedExport] = field(default_factory=list[ReleasedExport])
    reached: dict[Phase, float] = field(default_factory=dict[Phase, float])

    def run(self) -> str:
        """What came of it, in one line.

        Raises:
            AssertionError: Something did not hold.
        """
        for number, (kind, seconds) in enumerate(self.schedule.exports):
            imodel = self.machine.add_imodel(f"Seed {self.schedule.seed} {number}")
            imodel.run_seconds = imodel.mesh_seconds = seconds
            self.exports.append(ReleasedExport(self.machine, kind, imodel, self.folder))
        kills = list(self.schedule.kills)
        started = time.monotonic()
        until_all_end_well(self.machine, self.exports, lambda: self._kill_due(kills))
        for export in self.exports:
            export.check()
        missing = sum(not export.events() for export in self.exports)
        said = f"well after {time.monotonic() - started:.0f} s, {missing} without an event, {len(kills)} kills too late"
        retried = [f"\n  retried {export.retries}: {export.history()}" for export in self.exports if export.retries]
        return f"{self.schedule}: {said}{''.join(retried)}"

    def _kill_due(self, kills: list[Kill]) -> None:
        self._note_phases()
        for kill in list(kills):
            reached = self.reached.get(kill.phase)
            if reached is not None and time.monotonic() - reached >= kill.seconds:
                kills.remove(kill)
                self.machine.kill(kill.part, kill.away)

    def _note_phases(self) -> None:
        first = self.exports[0]
        reached: dict[Phase, bool] = {
            "asked for": True,
            "started at the platform": bool(first.remote_ids),
            "ended at the platform": first.has_ended,
        }
        if not {"suspended", "resumed"} <= set(self.reached) and self.machine.is_answering():
            names = first.names()
            reached |= {"suspended": "Suspended" in names, "resumed": "Resuming" in names}
        for phase, is_there in reached.items():
            if is_there:
                self.reached.setdefault(phase, time.monotonic())


def until_all_end_well(
    machine: ReleasedMachine,
    exports: list[ReleasedExport],
    meanwhile: Callable[[], None] = lambda: None,
    longest: float = LONGEST,
) -> None:
    """Keep the machine running until all exports have ended well.

    Raises:
        AssertionError: One does not.
    """
    end = time.monotonic() + longest
    left = list(exports)
    while left:
        machine.keep_running()
        executing = set(machine.executing())
        with contextlib.suppress(httpx.HTTPError):  # the server was killed just now
            left = _unsettled(left, executing)
            meanwhile()
        assert time.monotonic() < end, "; ".join(f"{one.kind} {one.flow_run_id}: {one.history()}" for one in left)
        time.sleep(0.5)


def start_one_after_the_other(machine: ReleasedMachine, exports: list[ReleasedExport], longest: float) -> None:
    """Start exports, as many at once as the worker executes, until all are suspended and no process works on one.

    Raises:
        AssertionError: One is not.
    """
    end = time.monotonic() + longest
    left, started = list(exports), list[ReleasedExport]()
    while left or started or machine.executing():
        started = [export for export in started if not export.is_waiting]
        if left and len(started) < machine.limit:
            started.append(left.pop(0))
        assert time.monotonic() < end, "; ".join(one.history() for one in started)
        time.sleep(1)


def _unsettled(exports: list[ReleasedExport], executing: set[str]) -> list[ReleasedExport]:
    return [export for export in exports if not export.settle(executing)]
