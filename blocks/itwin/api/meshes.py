"""Mesh Export API (technology preview). Vendor page: https://developer.bentley.com/apis/mesh-export/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from blocks.errors import NotFoundError, TransientError
from blocks.itwin.client import ItwinClient, model_from
from blocks.itwin.mesh_models import MeshExport
from blocks.itwin.transport import Precondition

PAGE_SIZE = 100


@dataclass(frozen=True)
class MeshExportApi:
    """Tilesets of iModels; found by listing, since reading one by its id is announced to go."""

    client: ItwinClient

    async def list_exports(
        self, imodel_id: str = "", *, changeset_id: str = "", export_type: str = "", page_size: int = PAGE_SIZE
    ) -> AsyncIterator[MeshExport]:
        """The mesh exports of an iModel, or of all that the caller can see, last changed first.

        Naming iModel and type tells the platform which tiles to make by itself; an empty changeset is no filter.
        """
        what = f"List the mesh exports of {f'iModel {imodel_id}' if imodel_id else 'all iModels'}"
        asked = {"iModelId": imodel_id, "changesetId": changeset_id, "exportType": export_type}
        params = {"$orderBy": "date:desc"} | {name: value for name, value in asked.items() if value}
        async for item in self.client.items(
            "/mesh-export/",
            "exports",
            what=what,
            page_size=page_size,
            params=params,
            prefer="return=representation",
        ):
            yield model_from(MeshExport, item, what)

    async def start_export(
        self, imodel_id: str, changeset_id: str, export_type: str, *, check: Precondition | None = None
    ) -> MeshExport | None:
        """Ask for tiles; none where the platform takes no such requests (any more): POST is announced to go.

        `check` is called right before the request goes out, however long it had to wait, and may refuse it.
        """
        what = f"Ask for tiles of iModel {imodel_id}"
        body = {"iModelId": imodel_id, "changesetId": changeset_id, "exportType": export_type}
        try:
            answer = await self.client.post("/mesh-export/", body, what=what, check=check)
        except NotFoundError:
            return None
        return model_from(MeshExport, answer.body.get("export"), what)

    def link_of(self, export: MeshExport) -> str:
        """The pre-signed link of a complete export, good for an hour; to be used without the bearer token.

        Raises:
            ConfigurationError: It leads to a host that is not allowed.
            TransientError: The platform left it out.
        """
        if not export.mesh_url:
            raise TransientError(f"The iTwin Platform lists mesh export {export.id} without a link to its tiles.")
        return self.client.checked_link(export.mesh_url)
