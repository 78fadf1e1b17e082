"""What a person asks for, checked before anything is sent: the part that all export flows share.

Each flow has one model of its parameters, in the room of its format. The flow and the command line check with the same
model: `IfcRequest.check(imodel_id=…, …)`.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError

from blocks.disk import require_writable
from blocks.errors import InputError
from blocks.settings import read_settings
from tasks.reports import ExportFormat
from tasks.state_dir import StateDir

Consent = Literal["fail", "wait", "suspend"]

NEEDS_DEPLOYMENT = (
    "consent=suspend frees the worker until the run is resumed, so it needs a deployment and a worker, and this run "
    "has none. Choose consent=wait."
)

LONGEST_TIMEOUT_MINUTES = 7 * 24 * 60

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CHANGESET = re.compile(r"[0-9a-f]{40}|[0-9]{1,39}", re.IGNORECASE)
_NO_OPTIONS = frozenset(
    {"imodel_id", "changeset_id", "output_dir", "credentials", "blob_storage", "connection_id", "policy"}
)
"""Members of a request that do not make two exports of the same changeset different."""


def check_output_dir(value: str | Path | None) -> Path:
    """The folder for exports, absolute; the configured one where none is named."""
    return Path(value or read_settings().output_dir).expanduser().absolute()


def check_guid(value: str, name: str) -> str:
    """A GUID in lower case.

    Raises:
        InputError: It is none; the sentence uses `name`.
    """
    text = value.strip()
    if not _GUID.fullmatch(text):
        raise InputError(
            f"“{text}” is not an {name}: it must look like 5e19bee0-3aea-4355-a9f0-c6df9989ee7d. "
            f"Copy it from its address in the browser."
        )
    return text.lower()


def guid(name: str) -> Any:
    """For use inside `Annotated`: a GUID, called `name` in messages."""
    return BeforeValidator(lambda value: check_guid(str(value), name))


def _timeout(value: object) -> object:
    """Minutes as a duration; what is a duration already stays."""
    if not isinstance(value, int | float):
        return value
    if not 0 < value <= LONGEST_TIMEOUT_MINUTES:
        raise InputError(f"timeout_minutes is {value:g}; give more than 0 and at most {LONGEST_TIMEOUT_MINUTES}.")
    return timedelta(minutes=value)


def _changeset(value: object) -> str:
    """A changeset id in lower case, an index, or an empty string for the latest."""
    text = "" if value is None else str(value).strip()
    if text and not _CHANGESET.fullmatch(text):
        raise InputError(f"“{text}” is not a changeset: give 40 hex digits, an index, or nothing for the latest.")
    return text.lower()


def _blank_as_none(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


OutputDir = Annotated[Path, BeforeValidator(check_output_dir)]
OptionalId = Annotated[str | None, BeforeValidator(_blank_as_none)]


class Options(BaseModel, frozen=True):
    """Parameters of a flow, checked; parameters that a model does not know are for other models."""

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """The parameters of a flow as this model.

        Raises:
            InputError: One of them cannot be understood; the sentence names it and says what to do.
        """
        try:
            return cls.model_validate(parameters)
        except ValidationError as error:
            raise InputError(_sentence(error)) from None


class Policy(Options, frozen=True):
    """How an export is to be had; with `verify`, files that are there are read whole before they count."""

    timeout: Annotated[timedelta, BeforeValidator(_timeout)] = Field(
        default=timedelta(minutes=240), validation_alias=AliasChoices("timeout", "timeout_minutes")
    )
    force: bool = False
    verify: bool = False


class ExportOptions(Options, frozen=True):
    """What an export flow takes besides its iModel: the same for all iModels of a batch."""

    output_dir: OutputDir
    credentials: str = "default"
    policy: Policy = Policy()

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """The parameters of a flow as this model, when exports can be put into the folder.

        Raises:
            InputError: A parameter cannot be understood, or the folder cannot be written to.
        """
        checked = super().check(**parameters, policy=parameters)
        require_writable(checked.output_dir)
        return checked


class ExportRequest(ExportOptions, frozen=True):
    """One export as asked for."""

    format: ClassVar[ExportFormat]

    imodel_id: Annotated[str, guid("iModel id")]
    changeset_id: Annotated[str, BeforeValidator(_changeset)] = ""

    @property
    def options(self) -> dict[str, Any]:
        """What makes two exports of the same changeset different."""
        return self.model_dump(mode="json", exclude=set(_NO_OPTIONS))

    @property
    def folder(self) -> Path:
        """Where readers find the export."""
        return self.output_dir / self.imodel_id / self.format

    @property
    def state_dir(self) -> StateDir:
        """Where unfinished work and notes of it lie, out of readers' sight."""
        return StateDir.of_imodel(self.output_dir, self.imodel_id)

    @property
    def staging_root(self) -> StateDir:
        """Where exports are fetched to, before they are published."""
        return self.state_dir


def state_dir_of(output_dir: str | Path | None, imodel_id: str) -> StateDir:
    """Where unfinished work of one iModel and notes of it lie, below a folder as a flow is given it."""
    return StateDir.of_imodel(check_output_dir(output_dir), imodel_id)


def _sentence(error: ValidationError) -> str:
    """The first fault, for a person."""
    fault = error.errors(include_url=False)[0]
    name = next((part for part in reversed(fault["loc"]) if isinstance(part, str)), "the request")
    if fault["type"] == "literal_error":
        name = name if isinstance(fault["loc"][-1], str) else name.removesuffix("s")  # one of a list
        choices = str(fault.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
        return f"“{fault['input']}” is not a known {name}. Choose one of: {choices}."
    return f"{name} cannot be “{fault['input']}”: {fault['msg']}."
