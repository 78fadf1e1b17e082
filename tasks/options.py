"""Parameters that all export flows share, validated before the first request.

Each flow has one model of its parameters, in the package of its format. The flow and the command line validate with the
same model: `IfcRequest.check(imodel_id=…, …)`.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    model_validator,
)

from blocks.errors import InputError
from blocks.storage.acceptance.imodel_place import IModelPlace
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.destination.published_export import FolderExport, PublishedExport
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.manifest import VersionFacts
from blocks.storage.preview_file import require_preview
from tasks.acceptance import names_block, read_rules
from tasks.addresses import LATEST, LONGEST_NAME, is_id, read_subject, subject
from tasks.output_options import Options, OutputOptions
from tasks.output_place import check_output_dir
from tasks.reports import ExportFormat
from tasks.state_dir import StateDir

Consent = Literal["fail", "wait", "suspend"]
WhileWaiting = Literal["hold", "release"]

ONLY_DEPLOYED = {"consent": ("suspend", "wait"), "while_waiting": ("release", "hold")}
"""Parameters with a value that only a deployment can have, and the value to choose without one."""

LONGEST_TIMEOUT_MINUTES = 7 * 24 * 60
MOST_KEPT = 1000

_CHANGESET = re.compile(r"[0-9a-f]{40}|[0-9]{1,39}", re.IGNORECASE)
_NO_OPTIONS = frozenset(
    {
        "imodel_id",
        "changeset_id",
        "named_version",
        "names",
        "output_dir",
        "address",
        "destination",
        "names_output",
        "store",
        "credentials",
        "blob_storage",
        "connection_id",
        "policy",
        "mapping_file",
        "mapping_warnings",
        "acceptance",
        "rules",
    }
)
"""Members of a request that do not make two exports of the same changeset different."""


def _timeout(value: object) -> object:
    """Convert minutes to a timedelta; a timedelta is returned unchanged."""
    if not isinstance(value, int | float):
        return value
    if not 0 < value <= LONGEST_TIMEOUT_MINUTES:
        raise InputError(f"timeout_minutes is {value:g}; give more than 0 and at most {LONGEST_TIMEOUT_MINUTES}.")
    return timedelta(minutes=value)


def _keep(value: int) -> int:
    if not 0 <= value <= MOST_KEPT:
        raise InputError(f"keep is {value}; give 0 to {MOST_KEPT}.")
    return value


def _changeset(value: object) -> str:
    """A changeset id in lower case, an index, or an empty string for the latest."""
    text = "" if value is None else str(value).strip()
    if text and not _CHANGESET.fullmatch(text):
        raise InputError(
            f"“{text}” is not a changeset: give 40 hex digits, an index, or leave it empty for the latest."
        )
    return text.lower()


def _named_version(value: object) -> str:
    """The id in lower case, or the name of a named version; empty for none."""
    text = "" if value is None else str(value).strip()
    if len(text) > LONGEST_NAME:
        raise InputError(f"named_version has {len(text)} characters; names have at most {LONGEST_NAME}.")
    return text.lower() if is_id(text) else text


def _blank_as_none(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def needs_deployment(parameter: str) -> str:
    """Why this parameter cannot have its value without a deployment, and what to choose."""
    value, other = ONLY_DEPLOYED[parameter]
    return (
        f"{parameter}={value} frees the worker until the run is resumed, so it needs a deployment and a worker, and "
        f"this run has none. Choose {parameter}={other}."
    )


OptionalId = Annotated[str | None, BeforeValidator(_blank_as_none)]


class Policy(Options, frozen=True):
    """How an export is carried out.

    `timeout` is the longest wait. `force` exports even if an identical export is published. `verify` reads published
    files completely before they count as current; otherwise size and modification time are compared. `keep` is how many
    earlier exports stay in the history, besides those of named versions; with 0 the history stays as it is.
    `while_waiting` is whether a process waits for the platform, or the flow run is suspended meanwhile.
    """

    timeout: Annotated[timedelta, BeforeValidator(_timeout)] = Field(
        default=timedelta(minutes=240), validation_alias=AliasChoices("timeout", "timeout_minutes")
    )
    force: bool = False
    verify: bool = False
    keep: Annotated[int, AfterValidator(_keep)] = 0
    while_waiting: WhileWaiting = "hold"


class ExportOptions(OutputOptions, frozen=True):
    """Parameters of an export flow without the iModel and changeset: the same for all iModels of a batch.

    `rules` are those that `acceptance` names; of a block they are None until the flow has loaded it.
    """

    named_version: Annotated[str, BeforeValidator(_named_version)] = ""
    credentials: str = "default"
    policy: Policy = Policy()
    acceptance: OptionalId = None
    rules: GivenRules | None = None

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """Validate the parameters of a flow and acceptance rules in a file, and that files and pictures can be made.

        Raises:
            InputError: A parameter or the rules are invalid, the folder is not writable, or a package for pictures is
                missing.
        """
        checked = super().check(**parameters, policy=parameters)
        if checked.names_output or checked.destination == "default":
            checked.require_output()
        require_preview()
        if checked.acceptance is None or names_block(checked.acceptance):
            return checked
        return checked.model_copy(update={"rules": read_rules(checked.acceptance)})


class Names(BaseModel, frozen=True):
    """What is known of the names behind the ids of a request; empty or None is unknown.

    `place` is where the iModel lies; None until it has been read.
    """

    imodel: str = ""
    itwin: str = ""
    itwin_id: str = ""
    place: IModelPlace | None = None
    changeset_index: int | None = None
    version: VersionFacts | None = None


class ExportRequest(ExportOptions, frozen=True):
    """The parameters of one export.

    `imodel_id` may be a name until `tasks.imodel` has looked it up; `names` is filled in on the way.
    """

    format: ClassVar[ExportFormat]
    in_folder: ClassVar[type[FolderExport]] = FolderExport
    in_store: ClassVar[type[StoredExport]] = StoredExport

    imodel_id: Annotated[str, subject("iModel")]
    changeset_id: Annotated[str, BeforeValidator(_changeset)] = ""
    names: Names = Names()

    @model_validator(mode="after")
    def _name_one_changeset(self) -> Self:
        if self.changeset_id and self.named_version:
            raise InputError("changeset_id and named_version both say what to export. Give one of them.")
        return self

    def with_names(self, *, imodel_id: str = "", **names: object) -> Self:
        """The same request with more names, and with the id of its iModel if that was given by name."""
        known = self.names.model_copy(update=names)
        return self.model_copy(update={"imodel_id": imodel_id or self.imodel_id, "names": known})

    @property
    def names_changeset(self) -> bool:
        """True if a certain changeset or version is asked for; false for whatever is the latest."""
        return bool(self.changeset_id or self.named_version) and self.named_version.casefold() != LATEST

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that influence the content: exports of one changeset with equal options are identical."""
        return self.model_dump(mode="json", exclude=set(_NO_OPTIONS))

    @property
    def folder(self) -> Path:
        """Folder of the published export; of one in an object store, that of the copies of its small files."""
        return self.output_dir / self.imodel_id / self.format

    @property
    def published(self) -> PublishedExport:
        """Where this export is published.

        Raises:
            ConfigurationError: It is an object store that nobody has opened.
        """
        if self.address is None:
            return self.in_folder(self.folder)
        return self.in_store(self.opened_store, f"{self.imodel_id}/{self.format}", self.folder)

    @property
    def state_dir(self) -> StateDir:
        """Folder of unfinished downloads and run records of this iModel."""
        return StateDir.of_imodel(self.output_dir, self.imodel_id)

    @property
    def staging_root(self) -> StateDir:
        """Folder that exports are downloaded to before they are published."""
        return self.state_dir


def state_dir_of(output_dir: str | Path | None, imodel_id: str) -> StateDir:
    """The state folder of one iModel, for `output_dir` as it is given to a flow."""
    return StateDir.of_imodel(check_output_dir(output_dir), imodel_id)


def state_dirs_of(output_dir: str | Path | None, imodel: str) -> list[StateDir]:
    """The state folder of one iModel, for the values that a flow got; for a name those of all iModels in the folder."""
    folder = check_output_dir(output_dir)
    known = read_subject(imodel, "iModel")
    return [StateDir.of_imodel(folder, known)] if is_id(known) else StateDir.all_in(folder)
