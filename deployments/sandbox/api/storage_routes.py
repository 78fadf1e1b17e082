"""The read operations of the Storage API.

https://developer.bentley.com/apis/storage/operations/
"""

import fnmatch
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.responses import (
    JSON,
    Page,
    base_url,
    check_access,
    invalid,
    missing,
    page_links,
    read_page,
    sandbox_of,
)
from deployments.sandbox.api.storage_items import find_item, item_json
from deployments.sandbox.ids import is_guid
from deployments.sandbox.state.entities import StorageItem
from deployments.sandbox.state.sandbox_state import FILES, SandboxState

CODE = "InvalidStorageRequest"
_refuse = partial(invalid, CODE)


async def top_level(request: Request) -> JSONResponse:
    """Items in the root folder of an iTwin; `projectId` is the older name of the parameter."""
    query = request.query_params
    itwin_id = query.get("iTwinId", query.get("projectId"))
    if itwin_id is None:
        raise missing(CODE, "iTwinId")
    itwin = sandbox_of(request).itwins.get(itwin_id.lower())
    if not is_guid(itwin_id) or itwin is None:
        raise _refuse("iTwinId")
    check_access(request, itwin.id)
    page = read_page(request, sandbox_of(request).options.storage_page, _refuse)
    found = sandbox_of(request).children(itwin.root_folder_id)
    body = _page_body(request, "items", found, page, f"/storage/?iTwinId={itwin.id}&")
    body["_links"]["folder"] = {"href": f"{base_url(request)}/storage/folders/{itwin.root_folder_id}"}
    return JSONResponse(body)


async def list_folder(request: Request) -> JSONResponse:
    """Folders, files or both of a folder, depending on the last word of the path."""
    part = request.url.path.rstrip("/").rpartition("/")[2]
    page = read_page(request, sandbox_of(request).options.storage_page, _refuse)
    folder = find_item(request, "folder_id", "folder", "FolderNotFound")
    wanted = {"files": {"file"}, "folders": {"folder"}}.get(part, {"file", "folder"})
    found = [item for item in sandbox_of(request).children(folder.id) if item.type in wanted]
    name = "items" if part == "list" else part
    return JSONResponse(_page_body(request, name, found, page, f"/storage/folders/{folder.id}/{part}?"))


async def search(request: Request) -> JSONResponse:
    """Items below a folder, by name; `*` and `?` are wildcards."""
    pattern = request.query_params.get("name")
    if pattern is None:
        raise missing(CODE, "name")
    page = read_page(request, sandbox_of(request).options.storage_page, _refuse)
    folder = find_item(request, "folder_id", "folder", "FolderNotFound")
    found = [i for i in _below(sandbox_of(request), folder.id) if _like(i.name, pattern)]
    path = f"/storage/folders/{folder.id}/search?name={quote(pattern)}&"
    return JSONResponse(_page_body(request, "items", found, page, path))


async def get_folder(request: Request) -> JSONResponse:
    """A folder's metadata."""
    folder = find_item(request, "folder_id", "folder", "FolderNotFound")
    return JSONResponse({"folder": item_json(request, folder)})


async def get_file(request: Request) -> JSONResponse:
    """A file's metadata."""
    return JSONResponse({"file": item_json(request, find_item(request, "file_id", "file", "FileNotFound"))})


async def download(request: Request) -> Response:
    """302 to a link that needs no token and expires soon."""
    file = find_item(request, "file_id", "file", "FileNotFound")
    state = sandbox_of(request)
    path = state.blobs.signed_path(FILES, file.id, seconds=state.options.download_link_seconds)
    base = base_url(request) if state.options.download_location == "absolute" else ""
    return Response(status_code=302, headers={"Location": base + path})


def _below(state: SandboxState, folder_id: str) -> list[StorageItem]:
    found: list[StorageItem] = []
    for item in state.children(folder_id):
        found.append(item)
        if item.type == "folder" and state.options.storage_search == "recursive":
            found += _below(state, item.id)
    return found


def _like(name: str, pattern: str) -> bool:
    """Only `*` and `?` are special, unlike in a shell."""
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _page_body(request: Request, name: str, found: Sequence[StorageItem], page: Page, path: str) -> JSON:
    items = [item_json(request, item) for item in page.of(found)]
    link = f"{base_url(request)}{path}"
    return {name: items, "_links": page_links(page, len(found), lambda s, t: f"{link}$top={t}&$skip={s}")}


ROUTES = [
    Route("/storage", top_level),
    *[Route(f"/storage/folders/{{folder_id}}/{part}", list_folder) for part in ("list", "files", "folders")],
    Route("/storage/folders/{folder_id}/search", search),
    Route("/storage/folders/{folder_id}", get_folder),
    Route("/storage/files/{file_id}", get_file),
    Route("/storage/files/{file_id}/download", download),
]
