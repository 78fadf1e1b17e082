"""Mesh Export API (technology preview). Vendor page: https://developer.bentley.com/apis/mesh-export/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from blocks.errors import NotFoundError, TransientError
from blocks.itwin.client import REPRESENTATION, ItwinClient, model_from
from blocks.itwin.mesh_models import MeshExport
from blocks.itwin.transport import Precondition
from blocks.signed_url import SignedUrl

PAGE_SIZE = 100


@dataclass(frozen=True)
class MeshExportApi:
    """Client for mesh exports (tilesets of iModels).

    Exports are read from the list: https://developer.bentley.com/apis/mesh-export/operations/get-export/ announces that
    reading one by its id will be removed.
    """

    client: ItwinClient

    async def list_exports(
        self,
        imodel_id: str = "",
        *,
        export_type: str = "",
        tile_version: str = "",
        cdn: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[MeshExport]:
        """Iterate over the mesh exports of an iModel, or of all visible iModels, last modified first.

        A request with iModel and type also tells the platform which type of tiles to generate automatically:
        https://developer.bentley.com/apis/mesh-export/operations/get-exports/. Empty arguments are omitted.

        Args:
            imodel_id: The iModel.
            export_type: For example `3DTiles`.
            tile_version: Only exports that are compatible with this version of the tile format `IMODEL`.
            cdn: Have the links lead to a content delivery network.
            page_size: Exports per request.
        """
        what = f"List the mesh exports of {f'iModel {imodel_id}' if imodel_id else 'all iModels'}"
        filters = {"iModelId": imodel_id, "exportType": export_type, "tileVersion": tile_version, "cdn": int(cdn)}
        params: dict[str, str | int] = {"$orderBy": "date:desc"} | {
            name: value for name, value in filters.items() if value
        }
        async for item in self.client.items(
            "/mesh-export/",
            "exports",
            what=what,
            page_size=page_size,
            params=params,
            headers=REPRESENTATION,
        ):
            yield model_from(MeshExport, item, what)

    async def start_export(
        self, imodel_id: str, changeset_id: str, export_type: str, *, check: Precondition | None = None
    ) -> MeshExport | None:
        """Request the tiles of a changeset; None where the platform has no such operation (404, 405 or 410).

        https://developer.bentley.com/apis/mesh-export/operations/start-export/ announces its deprecation.

        Args:
            imodel_id: The iModel.
            changeset_id: The changeset; empty for the baseline.
            export_type: For example `3DTiles`.
            check: Called right before the request is sent; an exception it raises cancels the request.
        """
        what = f"Request the tiles of iModel {imodel_id}"
        body = {"iModelId": imodel_id, "changesetId": changeset_id, "exportType": export_type}
        try:
            answer = await self.client.post("/mesh-export/", body, what=what, check=check)
        except NotFoundError:
            return None
        return model_from(MeshExport, answer.body.get("export"), what)

    def link_of(self, export: MeshExport) -> SignedUrl:
        """The SAS URL of a complete export's container, to be used without the bearer token.

        It is valid for one hour (https://developer.bentley.com/apis/mesh-export/operations/get-exports/); its own
        expiry (`se`) is what counts.

        Raises:
            ConfigurationError: Its host is not allowed.
            TransientError: The platform returned no link.
        """
        if not export.mesh_url:
            raise TransientError(f"The iTwin Platform lists mesh export {export.id} without a link to its tiles.")
        return SignedUrl(self.client.checked_link(export.mesh_url))
