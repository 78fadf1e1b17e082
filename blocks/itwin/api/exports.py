"""Export API (technology preview). Vendor page: https://developer.bentley.com/apis/export/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from blocks.errors import TransientError
from blocks.itwin.client import ApiResponse, ItwinClient, model_from
from blocks.itwin.models import AuthorizationInformation, ExportConnection, ExportRun
from blocks.itwin.transport import Json, Precondition
from blocks.signed_url import SignedUrl

PAGE_SIZE = 50


@dataclass(frozen=True)
class RunInput:
    """The input options of a run; an empty `changeset_id` is the baseline of an iModel without changesets.

    A mapping file is given by its Storage id or by a SAS URL that may read it, which is sent to the platform only.
    """

    ifc_version: str
    changeset_id: str = ""
    saved_view_id: str | None = None
    model_ids: tuple[str, ...] = ()
    mapping_file_id: str | None = None
    mapping_file_sas_url: SignedUrl | None = None


@dataclass(frozen=True)
class RunOutput:
    """The output options of a run; the SAS URLs (`USER_BLOB_STORAGE` only) are sent to the platform only."""

    location: str
    folder_id: str | None = None
    replace_older_file: bool = True
    save_logs: bool = True
    output_sas_url: SignedUrl | None = None
    logs_sas_url: SignedUrl | None = None


@dataclass(frozen=True)
class StartedRun:
    """The run named by a create-run response: a new one, or the one already active for the iModel."""

    connection_id: str
    run_id: str
    is_new: bool


@dataclass(frozen=True)
class ExportApi:
    """Export connections and their runs."""

    client: ItwinClient

    async def list_connections(self, imodel_id: str) -> AsyncIterator[ExportConnection]:
        """Iterate over the export connections of an iModel that are visible to the caller."""
        what, params = f"List the export connections of iModel {imodel_id}", {"imodelId": imodel_id}
        async for item in self.client.items(
            "/export/connections", "connections", what=what, page_size=PAGE_SIZE, params=params
        ):
            yield model_from(ExportConnection, item, what)

    async def create_connection(
        self, imodel_id: str, *, display_name: str, authentication_type: str
    ) -> ExportConnection:
        """Create an export connection for an iModel; `authentication_type` is `User` or `Service`."""
        what = f"Create an export connection for iModel {imodel_id}"
        body = {"iModelId": imodel_id, "displayName": display_name, "authenticationType": authentication_type}
        answer = await self.client.post("/export/connections", body, what=what)
        return model_from(ExportConnection, answer.body.get("connection"), what)

    async def get_connection(self, connection_id: str) -> ExportConnection:
        """Read one export connection.

        Raises:
            NotFoundError: It does not exist.
        """
        what = f"Read export connection {connection_id}"
        page = await self.client.get(_connection_path(connection_id), what=what)
        return model_from(ExportConnection, page.get("connection"), what)

    async def create_run(
        self, connection_id: str, run_input: RunInput, output: RunOutput, *, check: Precondition | None = None
    ) -> StartedRun:
        """Start a run, or get the run that is already active for the iModel.

        The platform answers 202 for a new run and 303 for the active one, whose options are unchanged:
        https://developer.bentley.com/apis/export/operations/create-export-connection-run/.

        Args:
            connection_id: The export connection.
            run_input: The input options.
            output: The output options.
            check: Called right before the request is sent; an exception it raises cancels the request.

        Raises:
            ConflictError: A concurrent request for the same iModel succeeded first (409); read the state again.
            NotFoundError: The connection does not exist.
            TransientError: The response does not name the run.
        """
        what = f"Start an export run on connection {connection_id}"
        answer = await self.client.post(
            f"{_connection_path(connection_id)}/runs",
            _run_body(run_input, output),
            what=what,
            redirects=(303,),
            check=check,
        )
        return _started(answer, connection_id, what)

    async def list_runs(self, connection_id: str) -> AsyncIterator[ExportRun]:
        """Iterate over the runs of a connection; their order is undocumented."""
        what = f"List the runs of export connection {connection_id}"
        path = f"{_connection_path(connection_id)}/runs"
        async for item in self.client.items(path, "runs", what=what, page_size=PAGE_SIZE):
            yield model_from(ExportRun, {**item, "connectionId": connection_id}, what)

    async def get_run(self, connection_id: str, run_id: str) -> ExportRun:
        """Read one run with its jobs and tasks."""
        what = f"Read export run {run_id}"
        path = f"{_connection_path(connection_id)}/runs/{quote(run_id, safe='')}"
        page = await self.client.get(path, what=what)
        run = model_from(ExportRun, page.get("run"), what)
        return run.model_copy(update={"connection_id": run.connection_id or connection_id})

    async def get_authorization_information(self, redirect_url: str) -> AuthorizationInformation:
        """Read whether the user has consented to exports on their behalf, and the consent page."""
        what = "Check the consent to export"
        params = {"redirectUrl": redirect_url}
        page = await self.client.get("/export/authorizationinformation", what=what, params=params)
        return model_from(AuthorizationInformation, page.get("authorizationInformation"), what)


def _connection_path(connection_id: str) -> str:
    return f"/export/connections/{quote(connection_id, safe='')}"


def _run_body(run_input: RunInput, output: RunOutput) -> Json:
    """The request body; options that are empty are omitted, because their documented type is string, not null.

    https://developer.bentley.com/apis/export/operations/create-export-connection-run/
    """
    return {
        "exportType": "IFC",
        "ifcVersion": run_input.ifc_version,
        "inputOptions": _without_empty(
            changesetId=run_input.changeset_id,
            savedViewId=run_input.saved_view_id,
            modelIds=list(run_input.model_ids),
            mappingFileId=run_input.mapping_file_id,
            mappingfileBlobUrl=run_input.mapping_file_sas_url and run_input.mapping_file_sas_url.reveal(),
        ),
        "outputOptions": _without_empty(
            location=output.location,
            folderId=output.folder_id,
            outputSasUrl=output.output_sas_url and output.output_sas_url.reveal(),
            logsSasUrl=output.logs_sas_url and output.logs_sas_url.reveal(),
        )
        | {"replaceOlderFile": output.replace_older_file, "saveLogs": output.save_logs},
    }


def _without_empty(**members: object) -> Json:
    return {name: value for name, value in members.items() if value}


def _started(answer: ApiResponse, connection_id: str, what: str) -> StartedRun:
    is_new = answer.status != 303
    match urlsplit(answer.location or "").path.rstrip("/").split("/"):
        case [*_, "connections", owner, "runs", run_id] if run_id:
            return StartedRun(unquote(owner), unquote(run_id), is_new)
        case _:
            if "run" in answer.body:
                return StartedRun(connection_id, model_from(ExportRun, answer.body["run"], what).id, is_new)
    raise TransientError(f"{what}: the iTwin Platform answered {answer.status} without naming the run.")
