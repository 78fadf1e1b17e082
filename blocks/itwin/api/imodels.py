"""iModels API v2. Vendor page: https://developer.bentley.com/apis/imodels-v2/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

from blocks.itwin.client import V2_JSON, ItwinClient, list_of_objects, model_from
from blocks.itwin.models import Changeset, IModel

PAGE_SIZE = 1000


@dataclass(frozen=True)
class IModelsApi:
    """Client for iModels and their changesets."""

    client: ItwinClient

    async def get_imodel(self, imodel_id: str) -> IModel:
        """Read one iModel, with its name and iTwin."""
        what = f"Read iModel {imodel_id}"
        page = await self.client.get(f"/imodels/{quote(imodel_id, safe='')}", what=what, accept=V2_JSON)
        return model_from(IModel, page.get("iModel"), what)

    async def list_imodels(self, itwin_id: str) -> AsyncIterator[IModel]:
        """Iterate over the initialized iModels of an iTwin, in their full representation."""
        what = f"List the iModels of iTwin {itwin_id}"
        params = {"iTwinId": itwin_id, "state": "initialized", "$continuationToken": ""}
        async for item in self.client.items(
            "/imodels",
            "iModels",
            what=what,
            page_size=PAGE_SIZE,
            accept=V2_JSON,
            params=params,
            prefer="return=representation",
        ):
            yield model_from(IModel, item, what)

    async def get_changeset(self, imodel_id: str, id_or_index: str) -> Changeset:
        """Read a changeset by its id (40 hex digits) or its index."""
        what = f"Read changeset {id_or_index} of iModel {imodel_id}"
        path = f"/imodels/{quote(imodel_id, safe='')}/changesets/{quote(id_or_index, safe='')}"
        page = await self.client.get(path, what=what, accept=V2_JSON)
        return model_from(Changeset, page.get("changeset"), what)

    async def find_changeset(self, imodel_id: str, id_or_index: str = "") -> Changeset | None:
        """A changeset by id or index, else the latest; none when the iModel holds its baseline only."""
        if id_or_index:
            return await self.get_changeset(imodel_id, id_or_index)
        return await self.get_latest_changeset(imodel_id)

    async def get_latest_changeset(self, imodel_id: str) -> Changeset | None:
        """Read the changeset with the highest index; None for an iModel that has only its baseline."""
        what = f"Find the latest changeset of iModel {imodel_id}"
        path = f"/imodels/{quote(imodel_id, safe='')}/changesets"
        params = {"$top": 1, "$orderBy": "index desc"}
        page = await self.client.get(path, what=what, accept=V2_JSON, params=params)
        for item in list_of_objects(page, "changesets", what):
            return model_from(Changeset, item, what)
        return None
