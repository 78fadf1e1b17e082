"""Storage API. Vendor page: https://developer.bentley.com/apis/storage/operations/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from blocks.errors import TransientError
from blocks.itwin.client import V1_JSON, V1_OCTETS, ItwinClient, model_from
from blocks.itwin.storage_models import StorageFile, StorageFolder, StorageTopLevel, StorageUpload
from blocks.itwin.transport import Json
from blocks.signed_url import SignedUrl

PAGE_SIZE = 100


@dataclass(frozen=True)
class StorageApi:
    """Client for files and folders of an iTwin's Storage."""

    client: ItwinClient

    async def get_file(self, file_id: str) -> StorageFile:
        """Read the properties of a file."""
        what = f"Read Storage file {file_id}"
        page = await self.client.get(_file_path(file_id), what=what)
        return model_from(StorageFile, page.get("file"), what)

    async def list_files(self, *, folder_id: str | None, itwin_id: str) -> AsyncIterator[StorageFile]:
        """Iterate over the files of a folder, or of the iTwin's root folder if `folder_id` is empty."""
        if folder_id:
            what, path = f"List Storage folder {folder_id}", f"{_folder_path(folder_id)}/files"
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
        path = f"{_folder_path(folder_id)}/search"
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
        path = f"{_file_path(file_id)}/download"
        answer = await self.client.call(
            "GET", path, what=what, headers={"Accept": V1_OCTETS}, redirects=(302, 303, 307)
        )
        if not answer.location:
            raise TransientError(f"{what}: the iTwin Platform answered {answer.status} without a link.")
        return SignedUrl(answer.location)

    async def get_root_folder_id(self, itwin_id: str) -> str:
        """Id of the iTwin's root folder, which the link `folder` of its top level ends in.

        Vendor page: https://developer.bentley.com/apis/storage/operations/get-top-level-folders-and-files-by-itwin/.

        Raises:
            TransientError: The response has no such link.
        """
        what = f"Find the Storage root folder of iTwin {itwin_id}"
        page = await self.client.get("/storage/", what=what, params={"iTwinId": itwin_id, "$top": 1})
        return model_from(StorageTopLevel, page, what).folder_id

    async def list_folders(self, folder_id: str) -> AsyncIterator[StorageFolder]:
        """Iterate over the folders directly in a folder."""
        what = f"List the folders of Storage folder {folder_id}"
        path = f"{_folder_path(folder_id)}/folders"
        async for item in self.client.items(path, "folders", what=what, page_size=PAGE_SIZE):
            yield model_from(StorageFolder, item, what)

    async def create_folder(self, parent_id: str, name: str) -> StorageFolder:
        """Create a folder; what the platform does if the name is taken is undocumented.

        Vendor page: https://developer.bentley.com/apis/storage/operations/create-folder/.
        """
        what = f"Create the Storage folder “{name}”"
        answer = await self.client.post(f"{_folder_path(parent_id)}/folders", {"displayName": name}, what=what)
        return model_from(StorageFolder, answer.body.get("folder"), what)

    async def upload_file(self, folder_id: str, name: str, content: bytes, *, description: str = "") -> StorageFile:
        """Create a file: announce it, write its content, complete it. An upload that is not completed is no file.

        Vendor pages: https://developer.bentley.com/apis/storage/operations/create-file/ and
        …/complete-file-creation/. Content of up to 256 MiB is written with one request.
        """
        what = f"Create the Storage file “{name}”"
        body = {"displayName": name} | ({"description": description} if description else {})
        return await self._upload(f"{_folder_path(folder_id)}/files", body, content, what)

    async def replace_content(self, file_id: str, content: bytes) -> StorageFile:
        """Replace the content of a file; its id, name and description stay.

        Vendor page: https://developer.bentley.com/apis/storage/operations/update-file-content/. It asks for a body with
        the text of create-file; the vendor's own command line sends none.
        """
        what = f"Replace the content of Storage file {file_id}"
        return await self._upload(f"{_file_path(file_id)}/updatecontent", None, content, what)

    async def _upload(self, path: str, body: Json | None, content: bytes, what: str) -> StorageFile:
        headers = {"Accept": V1_JSON}
        answer = await self.client.call("POST", path, what=what, headers=headers, json=body)
        upload = model_from(StorageUpload, answer.body, what)
        await self.client.put_blob(upload.links.upload_url.href, content, what=what)
        complete = f"{_file_path(upload.file_id)}/complete"
        done = await self.client.call("POST", complete, what=what, headers=headers)  # a body would reset the content
        return model_from(StorageFile, done.body.get("file"), what)


def _folder_path(folder_id: str) -> str:
    return f"/storage/folders/{quote(folder_id, safe='')}"


def _file_path(file_id: str) -> str:
    return f"/storage/files/{quote(file_id, safe='')}"


async def _files(items: AsyncIterator[dict[str, Any]], what: str) -> AsyncIterator[StorageFile]:
    """The files among the items; the member `type` is missing in some samples, and then the item is a file."""
    async for item in items:
        if item.get("type", "file") == "file":
            yield model_from(StorageFile, item, what)
