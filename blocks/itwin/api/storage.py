"""Storage API. Vendor page: https://developer.bentley.com/apis/storage/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from blocks.errors import TransientError
from blocks.itwin.client import V1_OCTETS, ItwinClient, model_from
from blocks.itwin.models import StorageFile
from blocks.signed_url import SignedUrl

PAGE_SIZE = 100


@dataclass(frozen=True)
class StorageApi:
    """Client for files and folders of an iTwin's Storage."""

    client: ItwinClient

    async def get_file(self, file_id: str) -> StorageFile:
        """Read the properties of a file."""
        what = f"Read Storage file {file_id}"
        page = await self.client.get(f"/storage/files/{quote(file_id, safe='')}", what=what)
        return model_from(StorageFile, page.get("file"), what)

    async def list_files(self, *, folder_id: str | None, itwin_id: str) -> AsyncIterator[StorageFile]:
        """Iterate over the files of a folder, or of the iTwin's root folder if `folder_id` is empty."""
        if folder_id:
            what, path = f"List Storage folder {folder_id}", f"/storage/folders/{quote(folder_id, safe='')}/files"
            items = self.client.items(path, "files", what=what, page_size=PAGE_SIZE)
        else:
            what, params = f"List the Storage root folder of iTwin {itwin_id}", {"iTwinId": itwin_id}
            items = self.client.items("/storage/", "items", what=what, page_size=PAGE_SIZE, params=params)
        async for file in _files(items, what):
            yield file

    async def search_files(self, folder_id: str, name: str) -> AsyncIterator[StorageFile]:
        """Iterate over files whose name matches a pattern with `*`; whether subfolders are searched is undocumented.

        Vendor page: https://developer.bentley.com/apis/storage/operations/search-for-folders-and-files-in-folder.
        """
        what = f"Search Storage folder {folder_id}"
        path = f"/storage/folders/{quote(folder_id, safe='')}/search"
        items = self.client.items(path, "items", what=what, page_size=PAGE_SIZE, params={"name": name})
        async for file in _files(items, what):
            yield file

    async def get_download_link(self, file_id: str) -> SignedUrl:
        """A pre-signed link to a file's content, to be used without the bearer token; its lifetime is undocumented.

        Vendor page: https://developer.bentley.com/apis/storage/operations/download-file/ (302; other redirects are
        undocumented and accepted).

        Raises:
            ConfigurationError: The link's host is not allowed.
            TransientError: The response has no link.
        """
        what = f"Get the download link of Storage file {file_id}"
        path = f"/storage/files/{quote(file_id, safe='')}/download"
        answer = await self.client.call(
            "GET", path, what=what, headers={"Accept": V1_OCTETS}, redirects=(302, 303, 307)
        )
        if not answer.location:
            raise TransientError(f"{what}: the iTwin Platform answered {answer.status} without a link.")
        return SignedUrl(answer.location)


async def _files(items: AsyncIterator[dict[str, Any]], what: str) -> AsyncIterator[StorageFile]:
    """The files among the items; the member `type` is missing in some samples, and then the item is a file."""
    async for item in items:
        if item.get("type", "file") == "file":
            yield model_from(StorageFile, item, what)
