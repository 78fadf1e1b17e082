"""The things that a sandbox keeps: iTwins, iModels, connections, runs, Storage items, logged requests."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(slots=True)
class ITwin:
    """A project with its Storage."""

    id: str
    name: str
    root_folder_id: str
    created_at: datetime
    sub_class: str = "Project"
    number: str | None = None
    status: Literal["Active", "Inactive", "Trial"] = "Active"


@dataclass(slots=True)
class Changeset:
    """A push to an iModel."""

    id: str
    index: int
    parent_id: str
    pushed_at: datetime
    description: str


@dataclass(slots=True)
class NamedVersion:
    """A name for a changeset; index 0 is the baseline."""

    id: str
    name: str
    changeset_id: str | None
    changeset_index: int
    created_at: datetime
    state: Literal["visible", "hidden"] = "visible"
    description: str | None = None


CAMPUS = (11.56, 48.13, 11.59, 48.145)
"""West, south, east and north in degrees: around the tiles of every iModel."""


@dataclass(slots=True)
class IModel:
    """An iModel, with the size of its exports and where it lies."""

    id: str
    itwin_id: str
    name: str
    created_at: datetime
    description: str | None = None
    state: Literal["initialized", "notInitialized"] = "initialized"
    elements: int = 40
    tiles: int = 64
    run_seconds: float | None = None
    mesh_seconds: float | None = None
    extent: tuple[float, float, float, float] | None = CAMPUS
    changesets: list[Changeset] = field(default_factory=list[Changeset])
    named_versions: list[NamedVersion] = field(default_factory=list[NamedVersion])

    @property
    def latest(self) -> Changeset | None:
        """The newest changeset, or none for a baseline."""
        return self.changesets[-1] if self.changesets else None


@dataclass(frozen=True)
class Outcome:
    """How a run is to end; results are spelled as the platform does.

    Attributes:
        result: Result of the run as a whole.
        task_result: Result of its task; the run's own when left out.
        job_result: Result of its job; the task's when left out.
        error: Members of the task's `error`, over the usual ones of a failed export; whatever the task's result.
        error_key: `errorKey` of an error of the run such as `UserNotAuthenticated`; the run then has no jobs.
        writes_file: Whether a file is delivered; only for `Success` and `PartialSuccess` when left out.
        content: Bytes delivered in place of a valid file.
        seconds: Duration of the run.
        retry_attempts: What the task reports.
        active_state: State shown all the way until the run is Completed, known or not.
    """

    result: str = "Success"
    task_result: str | None = None
    error: dict[str, Any] | None = None
    error_key: str | None = None
    writes_file: bool | None = None
    content: bytes | None = None
    seconds: float | None = None
    retry_attempts: int = 0
    active_state: str | None = None
    job_result: str | None = None

    @property
    def delivers(self) -> bool:
        """True when the run delivers a file."""
        if self.writes_file is not None:
            return self.writes_file
        return self.error_key is None and self.effective_task_result in {"Success", "PartialSuccess"}

    @property
    def effective_task_result(self) -> str:
        """The result of the task."""
        return self.task_result or self.result

    @property
    def effective_job_result(self) -> str:
        """The result of the job."""
        return self.job_result or self.effective_task_result


@dataclass(slots=True)
class Run:
    """One export run; its state follows from the clock until it is finished."""

    id: str
    connection_id: str
    imodel_id: str
    request: dict[str, Any]
    outcome: Outcome
    started_at: datetime
    seconds: float
    changeset_id: str | None
    created_by: str
    finished_at: datetime | None = None
    output_file_id: str | None = None
    polls: int = 0

    @property
    def is_active(self) -> bool:
        """True until the run is finished."""
        return self.finished_at is None


@dataclass(slots=True)
class Connection:
    """An iModel registered for exporting."""

    id: str
    imodel_id: str
    itwin_id: str
    name: str | None
    authentication_type: str
    created_by: str
    runs: list[Run] = field(default_factory=list[Run])


@dataclass(slots=True)
class StorageItem:
    """A file or folder; the bytes of a file are a blob of the same id."""

    id: str
    type: Literal["file", "folder"]
    name: str
    itwin_id: str
    parent_id: str | None
    created_at: datetime
    modified_at: datetime
    size: int = 0
    source_imodel_id: str | None = None
    description: str = ""


@dataclass(slots=True)
class LoggedRequest:
    """A request as it arrived, in the order of arrival; secrets are left out.

    Attributes:
        status: None while there is no answer, and afterwards too when the connection was cut.
    """

    number: int
    at: datetime
    method: str
    path: str
    query: str
    headers: dict[str, str]
    had_token: bool
    status: int | None = None
    client_id: str | None = None
