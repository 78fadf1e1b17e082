"""What create-run accepts; unknown members are refused, as its closed schema says."""

from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from deployments.sandbox.api.responses import JSON, Detail, RefusedError, invalid
from deployments.sandbox.ids import is_changeset_id
from deployments.sandbox.state.entities import Connection
from deployments.sandbox.state.sandbox_state import SandboxState

RUN_CODE = "InvalidConnectionRunRequest"
IfcVersion = Literal["IFC4.3", "IFC2x3", "IFC2x3 CV 2.0", "IFC4 RV 1.2"]
IFC_VERSIONS: tuple[str, ...] = get_args(IfcVersion)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class _InputOptions(_Closed):
    changeset_id: str | None = None
    mapping_file_id: str | None = None
    mapping_file_blob_url: str | None = Field(default=None, alias="mappingfileBlobUrl")
    saved_view_id: str | None = None
    model_ids: list[str] | None = Field(default=None, min_length=1)


class _OutputOptions(_Closed):
    location: Literal["USER_BLOB_STORAGE", "STORAGE"] = "STORAGE"
    output_sas_url: HttpUrl | None = None
    logs_sas_url: HttpUrl | None = None
    folder_id: str | None = None
    replace_older_file: bool = False
    save_logs: bool = False

    @model_validator(mode="after")
    def _blob_needs_a_target(self) -> Self:
        if self.location == "USER_BLOB_STORAGE" and self.output_sas_url is None:
            raise ValueError("outputSasUrl is missing.")
        return self


class _RunRequest(_Closed):
    export_type: Literal["IFC", "PDF"]
    ifc_version: IfcVersion | None = None
    input_options: _InputOptions | None = None
    output_options: _OutputOptions | None = None


def check_run_request(state: SandboxState, connection: Connection, body: JSON) -> JSON:
    """The body, if it is valid.

    Raises:
        RefusedError: 422 with one detail per fault.
    """
    try:
        request = _RunRequest.model_validate(body)
    except ValidationError as error:
        details = [_detail(fault) for fault in error.errors(include_url=False)]
        raise RefusedError(422, RUN_CODE, "Request rejected.", *details) from None
    if request.input_options:
        _check_input(state, connection, request.input_options)
    if request.export_type == "PDF" and request.ifc_version and state.options.pdf_ifc_version == "refused":
        raise invalid(RUN_CODE, "ifcVersion")
    if request.output_options and request.output_options.folder_id is not None:
        folder = state.items.get(request.output_options.folder_id)
        if folder is None or folder.type != "folder":
            raise invalid(RUN_CODE, "folderId")
    return body


def _check_input(state: SandboxState, connection: Connection, asked: _InputOptions) -> None:
    if asked.changeset_id is not None:
        _check_changeset(state, connection, asked.changeset_id)
    if asked.mapping_file_id and asked.mapping_file_blob_url and state.options.two_mapping_files == "refused":
        raise invalid(RUN_CODE, "mappingfileBlobUrl")
    if asked.mapping_file_id and asked.mapping_file_id not in state.items and state.options.mapping_file == "refused":
        raise invalid(RUN_CODE, "mappingFileId")


def _check_changeset(state: SandboxState, connection: Connection, changeset_id: str) -> None:
    known = {changeset.id for changeset in state.imodels[connection.imodel_id].changesets}
    if not is_changeset_id(changeset_id) or changeset_id.lower() not in known:
        raise invalid(RUN_CODE, "changesetId")


def _detail(fault: Any) -> Detail:
    target = ".".join(str(part) for part in fault["loc"]) or "outputSasUrl"
    if fault["type"] == "missing":
        return Detail("MissingRequiredParameter", f"{target} is missing.", target)
    return Detail("InvalidValue", f"{target}: {fault['msg']}.", target)
