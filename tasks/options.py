"""What a person asks for, checked before anything is sent."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

from blocks.disk import require_writable
from blocks.errors import InputError
from blocks.itwin.api.exports import RunInput
from blocks.settings import read_settings
from tasks.reports import ExportFormat

IfcVersion = Literal["IFC4.3", "IFC2x3", "IFC2x3 CV 2.0", "IFC4 RV 1.2"]
OutputLocation = Literal["STORAGE", "USER_BLOB_STORAGE"]
OnActiveRun = Literal["wait", "adopt", "fail"]
OnPartialSuccess = Literal["accept", "fail"]
Consent = Literal["fail", "wait", "suspend"]

LONGEST_TIMEOUT_MINUTES = 7 * 24 * 60

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CHANGESET = re.compile(r"[0-9a-f]{40}|[0-9]{1,39}", re.IGNORECASE)


class ExportRequest(BaseModel):
    """One export as asked for; everything but iModel, changeset and folder makes up its options."""

    model_config = ConfigDict(frozen=True)

    format: ClassVar[ExportFormat]

    imodel_id: str
    changeset_id: str = ""
    output_dir: Path

    @property
    def options(self) -> dict[str, Any]:
        """What makes two exports of the same changeset different."""
        return self.model_dump(mode="json", exclude={"imodel_id", "changeset_id", "output_dir"})

    @property
    def folder(self) -> Path:
        """Where readers find the export."""
        return self.output_dir / self.imodel_id / self.format

    @property
    def state_dir(self) -> Path:
        """Where unfinished work and notes of it lie, out of readers' sight."""
        return state_dir_of(self.output_dir, self.imodel_id)

    @property
    def staging_root(self) -> Path:
        """Where exports are fetched to, before they are published."""
        return self.state_dir


class IfcRequest(ExportRequest):
    """One IFC export as asked for; `mapping_version` is what Storage says of the mapping file."""

    format: ClassVar[ExportFormat] = "ifc"

    ifc_version: IfcVersion = "IFC4.3"
    saved_view_id: str | None = None
    model_ids: tuple[str, ...] = ()
    mapping_file_id: str | None = None
    mapping_version: str = ""
    output_location: OutputLocation = "STORAGE"
    folder_id: str | None = None
    replace_older_file: bool = True
    save_logs: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """What makes two exports of the same changeset different; without a mapping file there is no version of it."""
        options = super().options
        if not self.mapping_version:
            del options["mapping_version"]
        return options

    @property
    def connection_name(self) -> str:
        """Display name of the export connection that serves these options, and only these."""
        canonical = json.dumps(self.options, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        return f"itwin-export {self.ifc_version} {self.output_location} {digest}"

    def run_input(self, changeset_id: str) -> RunInput:
        """What the platform is asked to export."""
        return RunInput(
            ifc_version=self.ifc_version,
            changeset_id=changeset_id,
            saved_view_id=self.saved_view_id,
            model_ids=self.model_ids,
            mapping_file_id=self.mapping_file_id,
        )


class Policy(BaseModel):
    """How an export is to be had; with `verify`, files that are there are read whole before they count."""

    model_config = ConfigDict(frozen=True)

    timeout: timedelta = timedelta(minutes=240)
    force: bool = False
    verify: bool = False


class RunPolicy(Policy):
    """How a run is to be had; `timeout` counts from the remote run's own start."""

    on_active_run: OnActiveRun = "wait"
    on_partial_success: OnPartialSuccess = "accept"

    @property
    def accepts_partial(self) -> bool:
        """True if a PartialSuccess is good enough."""
        return self.on_partial_success == "accept"


def state_dir_of(output_dir: str | Path | None, imodel_id: str) -> Path:
    """Where unfinished work of one iModel and notes of it lie."""
    return check_output_dir(output_dir) / imodel_id.strip().lower() / ".itwin-export"


def check_policy(parameters: Mapping[str, Any]) -> RunPolicy:
    """The policy, if it can be understood.

    Raises:
        InputError: Something cannot be.
    """
    check_choice(parameters["on_active_run"], "on_active_run", get_args(OnActiveRun))
    check_choice(parameters["on_partial_success"], "on_partial_success", get_args(OnPartialSuccess))
    return RunPolicy(
        timeout=check_timeout(parameters["timeout_minutes"]),
        on_active_run=parameters["on_active_run"],
        on_partial_success=parameters["on_partial_success"],
        force=parameters["force"],
        verify=parameters["verify"],
    )


def check_asked(parameters: Mapping[str, Any]) -> tuple[IfcRequest, RunPolicy]:
    """What the parameters of the flow ask for, and how.

    Raises:
        InputError: Something cannot be understood or served; the sentence names it and says what to do.
    """
    request = check_ifc_request(**{name: parameters[name] for name in IfcRequest.model_fields if name in parameters})
    require_writable(request.output_dir)
    return request, check_policy(parameters)


def check_ifc_request(**asked: Any) -> IfcRequest:
    """The request, if it can be understood.

    Raises:
        InputError: Something cannot be.
    """
    imodel_id = check_guid(asked.pop("imodel_id"), "iModel id")
    changeset_id = check_changeset(asked.pop("changeset_id"))
    check_choice(asked["ifc_version"], "ifc_version", get_args(IfcVersion))
    check_choice(asked["output_location"], "output_location", get_args(OutputLocation))
    model_ids = asked.pop("model_ids")
    if model_ids is not None and not model_ids:
        raise InputError("model_ids is an empty list, which the platform refuses. Name models, or leave it out.")
    if not all(str(model_id).strip() for model_id in model_ids or ()):
        raise InputError("model_ids holds an empty id. Remove it.")
    checked = {
        "imodel_id": imodel_id,
        "changeset_id": changeset_id,
        "model_ids": sorted({str(model_id).strip() for model_id in model_ids or ()}),
        "output_dir": check_output_dir(asked.pop("output_dir")),
    }
    return IfcRequest.model_validate(checked | {name: _none_if_blank(value) for name, value in asked.items()})


def _none_if_blank(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def check_output_dir(value: str | Path | None) -> Path:
    """The folder for exports, absolute; the configured one where none is named."""
    return Path(value or read_settings().output_dir).expanduser().absolute()


def check_timeout(minutes: float) -> timedelta:
    """A deadline that makes sense."""
    if not 0 < minutes <= LONGEST_TIMEOUT_MINUTES:
        raise InputError(f"timeout_minutes is {minutes:g}; give more than 0 and at most {LONGEST_TIMEOUT_MINUTES}.")
    return timedelta(minutes=minutes)


def check_guid(value: str, name: str) -> str:
    """A GUID in lower case."""
    text = value.strip()
    if not _GUID.fullmatch(text):
        raise InputError(
            f"“{text}” is not an {name}: it must look like 5e19bee0-3aea-4355-a9f0-c6df9989ee7d. "
            f"Copy it from its address in the browser."
        )
    return text.lower()


def check_changeset(value: str | int | None) -> str:
    """A changeset id in lower case, an index, or an empty string for the latest."""
    text = "" if value is None else str(value).strip()
    if text and not _CHANGESET.fullmatch(text):
        raise InputError(f"“{text}” is not a changeset: give 40 hex digits, an index, or nothing for the latest.")
    return text.lower()


def check_choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices."""
    if value not in choices:
        raise InputError(f"“{value}” is not a known {name}. Choose one of: {', '.join(choices)}.")
