"""iModels API v2. Vendor page: https://developer.bentley.com/apis/imodels-v2/operations/."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from blocks.itwin.client import REPRESENTATION, V2_JSON, ItwinClient, Model, Parameters, list_of_objects, model_from
from blocks.itwin.models import Changeset, IModel, NamedVersion
from blocks.itwin.transport import Json

PAGE_SIZE = 1000
LATEST_FIRST = "index desc"


@dataclass(frozen=True)
class IModelsApi:
    """Client for iModels, their changesets and their named versions."""

    client: ItwinClient

    async def get_imodel(self, imodel_id: str) -> IModel:
        """Read one iModel, with its name and iTwin."""
        return await self._read(IModel, _path(imodel_id), "iModel", f"Read iModel {imodel_id}")

    async def list_imodels(
        self, itwin_id: str, *, state: str = "initialized", search: str = "", page_size: int = PAGE_SIZE
    ) -> AsyncIterator[IModel]:
        """Iterate over the iModels of an iTwin, in their full representation.

        Args:
            itwin_id: Id of the iTwin.
            state: Only iModels in this state; empty for all.
            search: Only iModels with this text in their name or description.
            page_size: Items per request.
        """
        what = f"List the iModels of iTwin {itwin_id}"
        params = {"iTwinId": itwin_id, **_given(state=state), **_given(**{"$search": search})}
        async for item in self._items("/imodels", "iModels", what, params, page_size, REPRESENTATION):
            yield model_from(IModel, item, what)

    async def get_changeset(self, imodel_id: str, id_or_index: str) -> Changeset:
        """Read a changeset by its id (40 hex digits) or its index."""
        what = f"Read changeset {id_or_index} of iModel {imodel_id}"
        path = f"{_path(imodel_id)}/changesets/{quote(id_or_index, safe='')}"
        return await self._read(Changeset, path, "changeset", what)

    async def find_changeset(self, imodel_id: str, id_or_index: str = "") -> Changeset | None:
        """A changeset by id or index, else the latest; none when the iModel holds its baseline only."""
        if id_or_index:
            return await self.get_changeset(imodel_id, id_or_index)
        return await self.get_latest_changeset(imodel_id)

    async def get_latest_changeset(self, imodel_id: str) -> Changeset | None:
        """Read the changeset with the highest index; None for an iModel that has only its baseline."""
        what = f"Find the latest changeset of iModel {imodel_id}"
        params = {"$top": 1, "$orderBy": LATEST_FIRST}
        page = await self.client.get(f"{_path(imodel_id)}/changesets", what=what, accept=V2_JSON, params=params)
        for item in list_of_objects(page, "changesets", what):
            return model_from(Changeset, item, what)
        return None

    async def list_changesets(self, imodel_id: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Changeset]:
        """Iterate over the changesets of an iModel, the latest first."""
        what = f"List the changesets of iModel {imodel_id}"
        params = {"$orderBy": LATEST_FIRST}
        async for item in self._items(f"{_path(imodel_id)}/changesets", "changesets", what, params, page_size):
            yield model_from(Changeset, item, what)

    async def get_named_version(self, imodel_id: str, version_id: str) -> NamedVersion:
        """Read a named version by its id, hidden or not."""
        what = f"Read named version {version_id} of iModel {imodel_id}"
        path = f"{_path(imodel_id)}/namedversions/{quote(version_id, safe='')}"
        return await self._read(NamedVersion, path, "namedVersion", what)

    async def list_named_versions(
        self, imodel_id: str, *, search: str = "", page_size: int = PAGE_SIZE
    ) -> AsyncIterator[NamedVersion]:
        """Iterate over the named versions of an iModel, hidden ones too, those of the latest changeset first.

        Args:
            imodel_id: Id of the iModel.
            search: Only versions with this text in their name.
            page_size: Items per request.
        """
        what = f"List the named versions of iModel {imodel_id}"
        params = {"$orderBy": "changesetIndex desc", **_given(**{"$search": search})}
        path = f"{_path(imodel_id)}/namedversions"
        async for item in self._items(path, "namedVersions", what, params, page_size, REPRESENTATION):
            yield model_from(NamedVersion, item, what)

    async def _read(self, kind: type[Model], path: str, member: str, what: str) -> Model:
        page = await self.client.get(path, what=what, accept=V2_JSON)
        return model_from(kind, page.get(member), what)

    def _items(
        self,
        path: str,
        member: str,
        what: str,
        params: Parameters,
        page_size: int,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Json]:
        params = {**params, "$continuationToken": ""}
        return self.client.items(
            path, member, what=what, page_size=page_size, accept=V2_JSON, params=params, headers=headers
        )


def _path(imodel_id: str) -> str:
    return f"/imodels/{quote(imodel_id, safe='')}"


def _given(**params: str) -> dict[str, str]:
    """The query parameters that have a value."""
    return {name: value for name, value in params.items() if value}
