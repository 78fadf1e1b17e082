"""The specification of an export run, and the run that serves it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from blocks.itwin.api.exports import RunInput
from tasks.ifc.options import IfcRequest, RunPolicy


class RemoteRun(BaseModel):
    """The export run that a flow run follows; holds no secret.

    `since` is when the platform was asked, by its own clock. `blob_name` is where a run for `USER_BLOB_STORAGE` writes.
    `why_anew` says why it was started although there had been a run for the same export.
    """

    model_config = ConfigDict(frozen=True)

    connection_id: str
    run_id: str
    since: datetime
    blob_name: str = ""
    adopted: bool = False
    warnings: tuple[str, ...] = ()
    why_anew: str = ""


class RunSpec(BaseModel):
    """The export run to start or find, and the flow run that requests it.

    `is_own_connection`: the connection is ours, so its runs have our options by construction. `asked_by` is the id of
    the flow run, `first_started` when that first started, by the platform's clock. `failed_before` names runs that
    failed: it is part of the cache key, so that a new run can be started after a failure. So is `foreign_waits`: how
    often the flow run was suspended because a run of others held the iModel. `uploaded_mapping_id` is the Storage id of
    the content of a mapping file. `connection_read_at` is when the platform last showed the connection, and
    `is_new_connection` whether it was created then.
    """

    model_config = ConfigDict(frozen=True)

    request: IfcRequest
    connection_id: str
    is_own_connection: bool
    connection_read_at: datetime | None = None
    is_new_connection: bool = False
    changeset_id: str
    asked_by: str
    first_started: datetime
    failed_before: tuple[str, ...] = ()
    foreign_waits: int = 0
    uploaded_mapping_id: str | None = None

    @property
    def policy(self) -> RunPolicy:
        """How the run is started and judged."""
        return self.request.policy

    @property
    def run_input(self) -> RunInput:
        """The input of the request that starts the run."""
        asked = self.request
        return RunInput(
            ifc_version=asked.ifc_version,
            changeset_id=self.changeset_id,
            saved_view_id=asked.saved_view_id,
            model_ids=asked.model_ids,
            mapping_file_id=asked.mapping_file_id or self.uploaded_mapping_id,
        )

    @property
    def blob_name(self) -> str:
        """Name of the blob that a run for `USER_BLOB_STORAGE` writes; the same in every attempt of a flow run."""
        changeset = self.changeset_id[:12] or "baseline"
        options = self.request.connection_name[-6:]
        return f"{self.request.imodel_id}/{changeset}-{options}-{self.asked_by.replace('-', '')[-12:]}.ifc"


def mapping_blob_name(request: IfcRequest) -> str:
    """Name of the blob that holds the content of a mapping file, beside the output; the same for the same content."""
    return f"{request.imodel_id}/mapping-{request.mapping_version.rpartition(':')[2][:16]}.json"
