"""The reading half of the Storage API.

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
    RefusedError,
    base_url,
    check_access,
    invalid,
    missing,
    page_links,
    read_page,
    sandbox_of,
)
from deployments.sandbox.clock import precise
from deployments.sandbox.ids import guid, is_guid
from deployments.sandbox.state.entities import StorageItem
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.sandbox_state import FILES, SandboxState

CODE = "InvalidStorageRequest"
DEFAULT_PAGE = 100
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
    page = read_page(request, DEFAULT_PAGE, _refuse)
    found = sandbox_of(request).children(itwin.root_folder_id)
    body = _page_body(request, "items", found, page, f"/storage/?iTwinId={itwin.id}&")
    body["_links"]["folder"] = {"href": f"{base_url(request)}/storage/folders/{itwin.root_folder_id}"}
    return JSONResponse(body)


async def list_folder(request: Request) -> JSONResponse:
    """Folders, files or both of a folder, depending on the last word of the path."""
    part = request.url.path.rstrip("/").rpartition("/")[2]
    page = read_page(request, DEFAULT_PAGE, _refuse)
    folder = _find(request, "folder_id", "folder", "FolderNotFound")
    wanted = {"files": {"file"}, "folders": {"folder"}}.get(part, {"file", "folder"})
    found = [item for item in sandbox_of(request).children(folder.id) if item.type in wanted]
    name = "items" if part == "list" else part
    return JSONResponse(_page_body(request, name, found, page, f"/storage/folders/{folder.id}/{part}?"))


async def search(request: Request) -> JSONResponse:
    """Items anywhere below a folder, by name; `*` and `?` are wildcards."""
    pattern = request.query_params.get("name")
    if pattern is None:
        raise missing(CODE, "name")
    page = read_page(request, DEFAULT_PAGE, _refuse)
    folder = _find(request, "folder_id", "folder", "FolderNotFound")
    found = [i for i in _below(sandbox_of(request), folder.id) if _like(i.name, pattern)]
    path = f"/storage/folders/{folder.id}/search?name={quote(pattern)}&"
    return JSONResponse(_page_body(request, "items", found, page, path))


async def get_folder(request: Request) -> JSONResponse:
    """A folder's metadata."""
    folder = _find(request, "folder_id", "folder", "FolderNotFound")
    return JSONResponse({"folder": _write(request, folder)})


async def get_file(request: Request) -> JSONResponse:
    """A file's metadata; single reads leave `type` out."""
    file = _find(request, "file_id", "file", "FileNotFound")
    body = _write(request, file)
    del body["type"]
    return JSONResponse({"file": body})


async def download(request: Request) -> Response:
    """302 to a link that needs no token and dies young."""
    file = _find(request, "file_id", "file", "FileNotFound")
    state = sandbox_of(request)
    path = state.blobs.signed_path(FILES, file.id, seconds=state.options.download_link_seconds)
    base = base_url(request) if state.options.download_location == "absolute" else ""
    return Response(status_code=302, headers={"Location": base + path})


def _find(request: Request, parameter: str, kind: str, code: str) -> StorageItem:
    item = sandbox_of(request).items.get(str(request.path_params[parameter]))
    if item is None or item.type != kind or item.itwin_id in sandbox_of(request).denied:
        raise RefusedError(404, code, f"{kind.title()} is not available.")
    return item


def _below(state: SandboxState, folder_id: str) -> list[StorageItem]:
    found: list[StorageItem] = []
    for item in state.children(folder_id):
        found.append(item)
        if item.type == "folder":
            found += _below(state, item.id)
    return found


def _like(name: str, pattern: str) -> bool:
    """Only `*` and `?` are special, unlike in a shell."""
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _page_body(request: Request, name: str, found: Sequence[StorageItem], page: Page, path: str) -> JSON:
    items = [_write(request, item) for item in page.of(found)]
    if name == "files":
        items = [{k: v for k, v in item.items() if k != "type"} for item in items]
    link = f"{base_url(request)}{path}"
    return {name: items, "_links": page_links(page, len(found), lambda s, t: f"{link}$top={t}&$skip={s}")}


def _write(request: Request, item: StorageItem) -> JSON:
    base = base_url(request)
    member = {"href": f"{base}/accesscontrol/itwins/{item.itwin_id}/members/{guid(IDENTITY.user)}"}
    body: JSON = {
        "id": item.id,
        "type": item.type,
        "displayName": item.name,
        "description": "",
        "path": sandbox_of(request).path_of(item),
        "lastModifiedByDisplayName": "Export Service" if item.source_imodel_id else IDENTITY.user_name,
        "createdDateTime": precise(item.created_at),
        "lastModifiedDateTime": precise(item.modified_at),
        "_links": {"createdBy": member},
    }
    if item.type == "file":
        body["size"] = item.size
        body["_links"]["lastModifiedBy"] = member
    if item.parent_id:
        body["parentFolderId"] = item.parent_id
        body["_links"]["parentFolder"] = {"href": f"{base}/storage/folders/{item.parent_id}"}
    return body


ROUTES = [
    Route("/storage", top_level),
    *[Route(f"/storage/folders/{{folder_id}}/{part}", list_folder) for part in ("list", "files", "folders")],
    Route("/storage/folders/{folder_id}/search", search),
    Route("/storage/folders/{folder_id}", get_folder),
    Route("/storage/files/{file_id}", get_file),
    Route("/storage/files/{file_id}/download", download),
]
