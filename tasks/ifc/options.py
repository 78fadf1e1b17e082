"""Parameters of the flow export-ifc, validated before the first request."""

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator

from blocks.errors import InputError
from tasks.ifc.file_name_template import check_template
from tasks.ifc.mapping_json import LARGEST_MAPPING, check_mapping
from tasks.local_file import local_path, read_local
from tasks.options import Consent, ExportOptions, ExportRequest, OptionalId, Policy
from tasks.reports import ExportFormat

IfcVersion = Literal["IFC4.3", "IFC2x3", "IFC2x3 CV 2.0", "IFC4 RV 1.2"]
OutputLocation = Literal["STORAGE", "USER_BLOB_STORAGE"]
OnActiveRun = Literal["wait", "adopt", "fail"]
OnPartialSuccess = Literal["accept", "fail"]

OWN_CONNECTION = "itwin-export "
"""What the display name of an export connection of ours begins with."""


class RunPolicy(Policy, frozen=True):
    """How a run is started and judged; `timeout` counts from the start of the export run."""

    on_active_run: OnActiveRun = "wait"
    on_partial_success: OnPartialSuccess = "accept"
    consent: Consent = "fail"

    @property
    def accepts_partial(self) -> bool:
        """True if a PartialSuccess is good enough."""
        return self.on_partial_success == "accept"


def _model_ids(value: object) -> object:
    """Sort the ids and remove duplicates; an empty list, as the form sends it, stands for all models."""
    if not isinstance(value, list | tuple):
        return value or ()
    ids = [str(model_id).strip() for model_id in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not all(ids):
        raise InputError("model_ids holds an empty id. Remove it.")
    return tuple(sorted(set(ids)))


class IfcOptions(ExportOptions, frozen=True):
    """Parameters of export-ifc without its iModel.

    `mapping_version` and `mapping_warnings` are derived from the mapping file: the version identifies its content.
    """

    ifc_version: IfcVersion = "IFC4.3"
    saved_view_id: OptionalId = None
    model_ids: Annotated[tuple[str, ...], BeforeValidator(_model_ids)] = ()
    mapping_file_id: OptionalId = None
    mapping_file: OptionalId = None
    mapping_version: str = ""
    mapping_warnings: tuple[str, ...] = ()
    output_location: OutputLocation = "STORAGE"
    folder_id: OptionalId = None
    replace_older_file: bool = True
    save_logs: bool = True
    file_name: Annotated[OptionalId, AfterValidator(check_template)] = None
    connection_id: OptionalId = None
    blob_storage: str = "default"
    policy: RunPolicy = RunPolicy()

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """Validate the parameters of a flow, with a mapping file on this machine.

        Raises:
            InputError: A parameter or the mapping file is invalid, or the output folder is not writable.
        """
        checked = super().check(**parameters)
        if checked.mapping_file is None:
            return checked
        if checked.mapping_file_id is not None:
            raise InputError("mapping_file and mapping_file_id name two mapping files. Leave one of them out.")
        content = read_local(local_path(checked.mapping_file), "mapping file", LARGEST_MAPPING)
        if content is not None:
            return checked.with_mapping(content)
        if checked.output_location == "USER_BLOB_STORAGE":  # it may be a blob of the user's container
            return checked
        raise InputError(
            f"There is no mapping file {local_path(checked.mapping_file)}. Correct its path; a blob of your own "
            f"container is used with output_location=USER_BLOB_STORAGE only."
        )

    def with_mapping(self, content: bytes, name: str = "") -> Self:
        """These options with the version of a mapping file and its warnings.

        Raises:
            InputError: The content is no mapping file.
        """
        mapping = check_mapping(content, name or str(self.mapping_file), self.ifc_version)
        return self.model_copy(update={"mapping_version": mapping.version, "mapping_warnings": mapping.warnings})

    @property
    def hands_over_content(self) -> bool:
        """True if the content of a mapping file is known and is to be handed over to the platform."""
        return self.mapping_file_id is None and bool(self.mapping_version)


class IfcRequest(IfcOptions, ExportRequest, frozen=True):
    """The parameters of one IFC export."""

    format: ClassVar[ExportFormat] = "ifc"

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that influence the files; `mapping_version` and `file_name` only where they are given."""
        options = super().options
        for name in ("mapping_version", "file_name"):
            if not options[name]:
                del options[name]
        return options

    @property
    def connection_name(self) -> str:
        """Display name of the export connection that serves these options, and only these."""
        remote = {name: value for name, value in self.options.items() if name != "file_name"}
        canonical = json.dumps(remote, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        return f"{OWN_CONNECTION}{self.ifc_version} {self.output_location} {digest}"
