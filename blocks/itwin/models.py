"""Models of the platform's responses.

Frozen, snake_case with camelCase aliases and tolerant: unknown members are ignored, members that may be missing have
defaults, unknown states are kept as text. Vendor pages: https://developer.bentley.com/apis/export/operations/,
…/apis/storage/operations/, …/apis/imodels-v2/operations/.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from blocks.foreign_data import web_address
from blocks.shown_text import shown
from blocks.timestamps import parse_timestamp

Timestamp = Annotated[datetime | None, BeforeValidator(parse_timestamp)]


class PlatformModel(BaseModel):
    """Base class of all response models.

    A member that is null gets its default, as if it were missing; texts are kept on one line, without control
    characters and shortened, because they are shown in logs, tables and artifacts.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        members = cast("dict[str, object]", value)
        return {name: cls._kept(member) for name, member in members.items() if member is not None}

    @classmethod
    def _kept(cls, member: object) -> object:
        return shown(member) if isinstance(member, str) else member


class ExecutionState(StrEnum):
    """State of a run, job or task; only `Completed` is final."""

    NOT_STARTED = "NotStarted"
    IDLE = "Idle"
    QUEUED = "Queued"
    WAITING_TO_EXECUTE = "WaitingToExecute"
    WAITING_TO_RETRY = "WaitingToRetry"
    EXECUTING = "Executing"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"

    @property
    def is_terminal(self) -> bool:
        """True if the state is final."""
        return self is ExecutionState.COMPLETED


class ExecutionResult(StrEnum):
    """Result of a run, job or task, valid once the state is final.

    Copies of https://developer.bentley.com/apis/export/operations/get-export-connection-run/ spell both `Canceled` and
    `Cancelled`; both are accepted.
    """

    UNDETERMINED = "Undetermined"
    SUCCESS = "Success"
    PARTIAL_SUCCESS = "PartialSuccess"
    ERROR = "Error"
    SKIPPED = "Skipped"
    CANCELED = "Canceled"
    TIMED_OUT = "TimedOut"


def _known_state(value: object) -> object:
    return member_by_name(ExecutionState, value, ExecutionState.NOT_STARTED)


def _known_result(value: object) -> object:
    spelling = "Canceled" if isinstance(value, str) and value.lower() == "cancelled" else value
    return member_by_name(ExecutionResult, spelling, ExecutionResult.UNDETERMINED)


def member_by_name(kind: type[StrEnum], value: object, default: StrEnum) -> object:
    """The enum member with this value, ignoring case; unknown text unchanged; the default for None or empty."""
    if value is None or value == "":
        return default
    known = {member.value.lower(): member for member in kind}
    return known.get(str(value).lower(), str(value))


State = Annotated[ExecutionState | str, BeforeValidator(_known_state)]
Result = Annotated[ExecutionResult | str, BeforeValidator(_known_result)]


class Link(PlatformModel):
    """A link in a response."""

    href: str = ""

    @classmethod
    def _kept(cls, member: object) -> object:
        return member


def href_of(link: object) -> str:
    """The URL of a link in a response; empty if it is none."""
    href: object = cast("dict[str, object]", link).get("href") if isinstance(link, dict) else None
    return href if isinstance(href, str) else ""


def _links(value: object) -> object:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


Links = Annotated[dict[str, Any], BeforeValidator(_links)]
"""The links of a response by name; empty for anything but an object."""


class ExportConnection(PlatformModel):
    """An iModel registered for exporting; ids are opaque (the samples show GUIDs and 43 base64url characters)."""

    id: str
    imodel_id: str = Field(alias="iModelId")
    itwin_id: str | None = Field(default=None, alias="iTwinId")
    display_name: str | None = None
    authentication_type: str = "User"


class ExportTaskError(PlatformModel):
    """The error of an export task; samples show `bridge_exit_code` signed (−7002) and unsigned (4294967295)."""

    error_code: str | None = None
    message: str | None = None
    details: str | None = None
    bridge_exit_code: int | str | None = None
    system: str | None = None
    phase: str | None = None
    category: str | None = None
    description_key: str | None = None
    description: str | None = None
    kb_article_link: str | None = None
    can_user_fix: bool | None = None


class ExportTask(PlatformModel):
    """A step of an export job; `export_output_file_id` is the Storage id of the produced file."""

    id: str = ""
    start_date_time: Timestamp = None
    end_date_time: Timestamp = None
    state: State = ExecutionState.NOT_STARTED
    result: Result = ExecutionResult.UNDETERMINED
    retry_attempts: int | None = None
    export_output_file_id: str | None = None
    error: ExportTaskError | None = None


class ExportJob(PlatformModel):
    """A group of export tasks."""

    id: str = ""
    start_date_time: Timestamp = None
    end_date_time: Timestamp = None
    state: State = ExecutionState.NOT_STARTED
    result: Result = ExecutionResult.UNDETERMINED
    tasks: tuple[ExportTask, ...] = ()


class ExportRunError(PlatformModel):
    """The error of a whole run; undocumented for exports, taken from the Synchronization API's run."""

    error_key: str | None = None
    description: str | None = None


class ExportRun(PlatformModel):
    """One execution of an export connection; list responses lack `connection_id`."""

    id: str
    connection_id: str | None = None
    start_date_time: Timestamp = None
    end_date_time: Timestamp = None
    state: State = ExecutionState.NOT_STARTED
    result: Result = ExecutionResult.UNDETERMINED
    jobs: tuple[ExportJob, ...] = ()
    error: ExportRunError | None = None

    @property
    def is_finished(self) -> bool:
        """True if the state is final."""
        return isinstance(self.state, ExecutionState) and self.state.is_terminal

    @property
    def tasks(self) -> tuple[ExportTask, ...]:
        """The tasks of all jobs."""
        return tuple(task for job in self.jobs for task in job.tasks)


class AuthorizationInformation(PlatformModel):
    """Whether the user has consented to exports on their behalf, and the consent page."""

    is_user_authorized: bool = False
    links: Links = Field(default_factory=dict[str, Any], alias="_links")

    @property
    def authorization_url(self) -> str:
        """URL of the consent page, which a browser may open; empty if the platform names none."""
        return web_address(href_of(self.links.get("authorizationUrl")))


class GeoPoint(PlatformModel):
    """Degrees."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class GeoExtent(PlatformModel):
    """A part of the Earth; across the 180th meridian its west is greater than its east."""

    south_west: GeoPoint
    north_east: GeoPoint


def _extent_or_none(value: object, read: ValidatorFunctionWrapHandler) -> GeoExtent | None:
    """An extent that cannot be read is as none: exports do not depend on it."""
    try:
        return read(value)
    except ValidationError:
        return None


class IModel(PlatformModel):
    """An iModel; minimal representations have `id` and `display_name` only."""

    id: str
    display_name: str = ""
    name: str | None = None
    state: str | None = None
    itwin_id: str | None = Field(default=None, alias="iTwinId")
    last_changeset_push_date_time: Timestamp = None
    extent: Annotated[GeoExtent | None, WrapValidator(_extent_or_none)] = None

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """West, south, east and north of the extent; None if the platform states none."""
        if self.extent is None:
            return None
        low, high = self.extent.south_west, self.extent.north_east
        return low.longitude, low.latitude, high.longitude, high.latitude


class Changeset(PlatformModel):
    """A changeset of an iModel: the id has 40 hex digits, the index increases with each; there may be gaps."""

    id: str
    index: int
    display_name: str | None = None
    description: str | None = None
    push_date_time: Timestamp = None


class NamedVersion(PlatformModel):
    """A changeset of an iModel that somebody has named; index 0 and no changeset id is the baseline."""

    id: str
    display_name: str = ""
    description: str | None = None
    changeset_id: str | None = None
    changeset_index: int = 0
    created_date_time: Timestamp = None
    state: str | None = None

    @property
    def is_hidden(self) -> bool:
        """True if somebody has hidden it; the platform lists it nevertheless."""
        return (self.state or "").lower() == "hidden"


class ITwin(PlatformModel):
    """An iTwin; display names need not be unique, `number` is what its owner calls it."""

    id: str
    display_name: str = ""
    number: str | None = None
    sub_class: str | None = None
    type: str | None = None
