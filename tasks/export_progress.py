"""What an export has come to so far: for its progress artifact, the terminal, and the page of its flow run."""

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from rich import filesize

from blocks.itwin.models import ExecutionState
from tasks.options import ExportRequest, Names
from tasks.platform_slots import in_batch
from tasks.reports import ExportFormat

Step = Literal["preparing", "waiting", "fetching", "checking", "publishing", "published"]
STEPS: tuple[Step, ...] = ("preparing", "waiting", "fetching", "checking", "publishing", "published")
STEP_PERCENT: dict[Step, float] = {"fetching": 50, "checking": 95, "publishing": 98, "published": 100}
STATE_PERCENT: dict[str, float] = {
    ExecutionState.QUEUED: 4,
    ExecutionState.WAITING_TO_EXECUTE: 6,
    ExecutionState.WAITING_TO_RETRY: 6,
    ExecutionState.EXECUTING: 10,
    ExecutionState.FINALIZING: 40,
    ExecutionState.COMPLETED: 50,
    "InProgress": 10,
    "Complete": 50,
}
"""Of export runs and mesh exports; an unknown state leaves the percentage as it is."""


def artifact_key(kind: ExportFormat | Literal["itwin"], subject: str) -> str:
    """Key of the artifact for an id or a name; of a name, characters that a key cannot have are replaced."""
    name = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")
    return f"export-{kind}-{name or ('itwin' if kind == 'itwin' else 'imodel')}"


class Showable(Protocol):
    """A progress value: `str()` gives a sentence for people."""

    @property
    def percent(self) -> float:
        """Share of the work that has ended, successfully or not, from 0 to 100."""
        ...


@dataclass
class Transfer:
    """A download in progress; `total` is what is known so far, in bytes or files."""

    unit: Literal["bytes", "files"]
    done: int
    total: int
    first_done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Bytes or files per second since this process began to fetch; 0 if that is not known yet."""
        seconds = time.monotonic() - self.began
        return (self.done - self.first_done) / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time until the end at that rate; None if the rate is not known yet."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        left = self.seconds_left
        when = f", about {duration(left)} left" if left is not None and left >= 1 else ""
        return f"{self._amounts()} at {self._speed()}{when}" if self.rate else self._amounts()

    def _amounts(self) -> str:
        if self.unit == "files":
            return f"{self.done} of {self.total} files"
        return f"{filesize.decimal(self.done)} of {filesize.decimal(self.total)}"

    def _speed(self) -> str:
        return f"{self.rate:.0f} files/s" if self.unit == "files" else f"{filesize.decimal(round(self.rate))}/s"


@dataclass
class ExportProgress:
    """One export as far as it has come.

    Attributes:
        began: When each step was first begun, by the clock of this machine.
        run_times: Times at which the run was created, started and finished, by the platform's clock.
        remote_state: State of the export run or mesh export, as last read.
        fetched_bytes: Size of the fetched files, if all of them were fetched anew.
    """

    format: ExportFormat
    imodel_id: str
    names: Names = field(default_factory=Names)
    changeset_id: str | None = None
    api_url: str = ""
    connection_id: str = ""
    run_id: str = ""
    remote_state: str = ""
    run_times: tuple[datetime | None, datetime | None, datetime | None] = (None, None, None)
    began: dict[Step, datetime] = field(default_factory=lambda: {"preparing": datetime.now(UTC)})
    transfer: Transfer | None = None
    fetched_bytes: int = 0
    _percent: float = 0.0

    @property
    def step(self) -> Step:
        """The last step that has begun."""
        return max(self.began, key=STEPS.index)

    @property
    def percent(self) -> float:
        """From 0 to 100; it never goes back."""
        return self._percent

    @property
    def subject(self) -> str:
        """The name of the iModel, or its id where the name is not known."""
        return self.names.imodel or self.imodel_id

    @property
    def key(self) -> str:
        """Key of the page: one for an iModel and format."""
        return artifact_key(self.format, self.imodel_id)

    @property
    def age(self) -> float:
        """Seconds since the export began."""
        return (datetime.now(UTC) - self.began["preparing"]).total_seconds()

    def enter(self, step: Step) -> None:
        """A step begins; one that is repeated keeps its first time."""
        self.began.setdefault(step, datetime.now(UTC))
        self._reach(STEP_PERCENT.get(step, 0))

    def note_request(self, request: ExportRequest, *, changeset_id: str | None = None, api_url: str = "") -> None:
        """The request with what is known of it by now."""
        self.imodel_id, self.names = request.imodel_id, request.names
        self.changeset_id = changeset_id if changeset_id is not None else self.changeset_id
        self.api_url = api_url or self.api_url

    def note_run(self, run_id: str, connection_id: str = "") -> None:
        """The export run or mesh export that is waited for."""
        self.run_id, self.connection_id = run_id, connection_id

    def note_state(self, state: str) -> None:
        """Its state at the platform."""
        self.remote_state = state
        self._reach(STATE_PERCENT.get(state, 0))

    def note_run_times(self, asked: datetime | None, began: datetime | None, ended: datetime | None) -> None:
        """Times at which the run was created, started and finished, by the platform's clock."""
        self.run_times = (asked, began, ended)

    def note_bytes(self, done: int, total: int) -> None:
        """So many bytes of a file are here."""
        self._note_transfer("bytes", done, total)

    def note_files(self, done: int, total: int) -> None:
        """So many of the files known by now are here."""
        self._note_transfer("files", done, total)

    def _note_transfer(self, unit: Literal["bytes", "files"], done: int, total: int) -> None:
        transfer = self.transfer
        if transfer is None or (unit == "bytes" and transfer.total != total):
            self.transfer = Transfer(unit, done, total, first_done=done)
        else:
            transfer.done, transfer.total = done, total
        span = STEP_PERCENT["checking"] - STEP_PERCENT["fetching"]
        self._reach(STEP_PERCENT["fetching"] + span * (done / total if total else 0.0))

    def _reach(self, percent: float) -> None:
        self._percent = max(self._percent, percent)

    def doing(self) -> str:
        """What the export does, or waits for, in a few words."""
        match self.step:
            case "waiting":
                what = "export run" if self.format == "ifc" else "mesh export"
                return f"at the platform, {what} {self.remote_state or 'asked for'}"
            case "fetching":
                return f"fetching {self.transfer or 'the files'}"
            case step:
                return step

    def __str__(self) -> str:
        return f"{self.subject}: {self.doing()}"


@dataclass
class ActiveExports:
    """The exports of this process that have not ended, and the batch that they belong to."""

    batch: Showable | None = None
    exports: list[ExportProgress] = field(default_factory=list[ExportProgress])


shown_exports: ContextVar[ActiveExports | None] = ContextVar("shown_exports", default=None)
"""Set by whoever shows the exports of this process."""
_current: ContextVar[ExportProgress | None] = ContextVar("export_progress", default=None)


def current_progress() -> ExportProgress:
    """The progress of the export that runs in this context; a new one outside of an export."""
    return _current.get() or ExportProgress("ifc", "")


def is_one_of_many() -> bool:
    """True in an export of a batch."""
    return _current.get() is not None and in_batch()


@contextmanager
def following(progress: ExportProgress) -> Generator[None]:
    """Make it the progress of the export that runs in the block, for whoever shows the exports of this process."""
    shown = shown_exports.get()
    token = _current.set(progress)
    if shown is not None:
        shown.exports.append(progress)
    try:
        yield
    finally:
        _current.reset(token)
        if shown is not None:
            shown.exports.remove(progress)


def duration(seconds: float) -> str:
    """A length of time for people: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"
