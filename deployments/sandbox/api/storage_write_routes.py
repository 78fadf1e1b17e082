"""The write operations of the Storage API.

https://developer.bentley.com/apis/storage/operations/

A new file takes three steps: create, PUT of the bytes to `uploadUrl`, complete.
"""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.responses import JSON, RefusedError, base_url, forbidden, invalid, missing, read_body
from deployments.sandbox.api.responses import sandbox_of as state_of
from deployments.sandbox.api.storage_items import find_item, item_json
from deployments.sandbox.state.entities import StorageItem
from deployments.sandbox.state.sandbox_state import UPLOADS

_CODES = {"file": "InvalidCreateFileRequest", "folder": "InvalidCreateFolderRequest"}
"""Create and update have the same codes."""
_LONGEST_NAME = 255
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_EXECUTABLE = re.compile(r".*\.(exe|bat|cmd|com|msi|dll|ps1|vbs)", re.IGNORECASE)
"""Which characters and kinds of files are refused is undocumented."""


async def create_file(request: Request) -> JSONResponse:
    """202 with the links for the upload; the file is listed once it is completed."""
    folder = find_item(request, "folder_id", "folder", "FolderNotFound")
    body = await read_body(request, _CODES["file"])
    _check_members(body, "file", is_new=True)
    item = state_of(request).announce_file(folder.id, body["displayName"], body.get("description", ""))
    return _upload_links(request, item.id)


async def update_content(request: Request) -> JSONResponse:
    """202 with the links for an upload; until it is completed, a download serves the old content. A body is ignored."""
    return _upload_links(request, find_item(request, "file_id", "file", "FileNotFound").id)


async def complete(request: Request) -> JSONResponse:
    """The file with what was uploaded; a body resets the content."""
    file_id = str(request.path_params["file_id"])
    state = state_of(request)
    if file_id not in state.announced:
        find_item(request, "file_id", "file", "FileNotFound")
    item = state.complete_upload(file_id, is_reset=bool(await request.body()))
    if item is None:
        raise RefusedError(404, "FileNotFound", "File is not available.")
    return JSONResponse({"file": item_json(request, item)})


async def create_folder(request: Request) -> JSONResponse:
    """201 with the folder."""
    parent = find_item(request, "folder_id", "folder", "FolderNotFound")
    body = await read_body(request, _CODES["folder"])
    _check_members(body, "folder", is_new=True)
    folder = state_of(request).add_folder(parent.itwin_id, body["displayName"], parent.id)
    folder.description = body.get("description", "")
    return JSONResponse({"folder": item_json(request, folder)}, 201)


async def update_file(request: Request) -> JSONResponse:
    """Rename or describe a file."""
    return await _update(request, find_item(request, "file_id", "file", "FileNotFound"))


async def update_folder(request: Request) -> JSONResponse:
    """Rename or describe a folder; the root folder has no name to change."""
    return await _update(request, _not_root(find_item(request, "folder_id", "folder", "FolderNotFound")))


async def delete_file(request: Request) -> Response:
    """204; the recycle bin is absent."""
    state_of(request).delete_item(find_item(request, "file_id", "file", "FileNotFound"))
    return Response(status_code=204)


async def delete_folder(request: Request) -> Response:
    """204, and everything below is gone too."""
    state_of(request).delete_item(_not_root(find_item(request, "folder_id", "folder", "FolderNotFound")))
    return Response(status_code=204)


async def _update(request: Request, item: StorageItem) -> JSONResponse:
    body = await read_body(request, _CODES[item.type])
    _check_members(body, item.type, is_new=False)
    item.name = body.get("displayName", item.name)
    item.description = body.get("description", item.description)
    item.modified_at = state_of(request).clock.now()
    return JSONResponse({item.type: item_json(request, item)})


def _not_root(folder: StorageItem) -> StorageItem:
    if folder.parent_id is None:
        raise forbidden()
    return folder


def _check_members(body: JSON, kind: str, *, is_new: bool) -> None:
    """Name and description as documented.

    Raises:
        RefusedError: 422.
    """
    if is_new and "displayName" not in body:
        raise missing(_CODES[kind], "displayName", "MissingRequiredProperty")
    if not _is_name(body.get("displayName", "name"), kind):
        raise invalid(_CODES[kind], "displayName")
    if not isinstance(body.get("description", ""), str):
        raise invalid(_CODES[kind], "description")


def _is_name(name: object, kind: str) -> bool:
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME or _FORBIDDEN.search(name):
        return False
    return kind != "file" or _EXECUTABLE.fullmatch(name) is None


def _upload_links(request: Request, file_id: str) -> JSONResponse:
    state, base = state_of(request), base_url(request)
    state.blobs.create_container(UPLOADS)
    upload = state.blobs.signed_path(UPLOADS, file_id, permissions="cw", seconds=state.options.upload_link_seconds)
    links = {"uploadUrl": f"{base}{upload}", "completeUrl": f"{base}/storage/files/{file_id}/complete"}
    return JSONResponse({"_links": {name: {"href": href} for name, href in links.items()}}, 202)


ROUTES = [
    Route("/storage/folders/{folder_id}/files", create_file, methods=["POST"]),
    Route("/storage/folders/{folder_id}/folders", create_folder, methods=["POST"]),
    Route("/storage/folders/{folder_id}", update_folder, methods=["PATCH"]),
    Route("/storage/folders/{folder_id}", delete_folder, methods=["DELETE"]),
    Route("/storage/files/{file_id}", update_file, methods=["PATCH"]),
    Route("/storage/files/{file_id}", delete_file, methods=["DELETE"]),
    Route("/storage/files/{file_id}/complete", complete, methods=["POST"]),
    *[
        Route(f"/storage/files/{{file_id}}/{name}", update_content, methods=["POST"])
        for name in ("updatecontent", "updateContent")
    ],
]
