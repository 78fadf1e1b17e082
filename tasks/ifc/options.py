"""What a person asks export-ifc for, checked before anything is sent."""

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from blocks.errors import InputError
from tasks.options import Consent, ExportOptions, ExportRequest, OptionalId, Policy
from tasks.reports import ExportFormat

IfcVersion = Literal["IFC4.3", "IFC2x3", "IFC2x3 CV 2.0", "IFC4 RV 1.2"]
OutputLocation = Literal["STORAGE", "USER_BLOB_STORAGE"]
OnActiveRun = Literal["wait", "adopt", "fail"]
OnPartialSuccess = Literal["accept", "fail"]


class RunPolicy(Policy, frozen=True):
    """How a run is to be had; `timeout` counts from the remote run's own start."""

    on_active_run: OnActiveRun = "wait"
    on_partial_success: OnPartialSuccess = "accept"
    consent: Consent = "fail"

    @property
    def accepts_partial(self) -> bool:
        """True if a PartialSuccess is good enough."""
        return self.on_partial_success == "accept"


def _model_ids(value: object) -> object:
    """Each id once, in order; the platform refuses an empty list."""
    if not isinstance(value, list | tuple):
        return value or ()
    ids = [str(model_id).strip() for model_id in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not ids:
        raise InputError("model_ids is an empty list, which the platform refuses. Name models, or leave it out.")
    if not all(ids):
        raise InputError("model_ids holds an empty id. Remove it.")
    return tuple(sorted(set(ids)))


class IfcOptions(ExportOptions, frozen=True):
    """What export-ifc takes besides its iModel; `mapping_version` is what Storage says of the mapping file."""

    ifc_version: IfcVersion = "IFC4.3"
    saved_view_id: OptionalId = None
    model_ids: Annotated[tuple[str, ...], BeforeValidator(_model_ids)] = ()
    mapping_file_id: OptionalId = None
    mapping_version: str = ""
    output_location: OutputLocation = "STORAGE"
    folder_id: OptionalId = None
    replace_older_file: bool = True
    save_logs: bool = True
    connection_id: OptionalId = None
    blob_storage: str = "default"
    policy: RunPolicy = RunPolicy()


class IfcRequest(IfcOptions, ExportRequest, frozen=True):
    """One IFC export as asked for."""

    format: ClassVar[ExportFormat] = "ifc"

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
