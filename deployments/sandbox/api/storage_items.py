"""Items of Storage as the API finds and shows them."""

from starlette.requests import Request

from deployments.sandbox.api.responses import JSON, RefusedError, base_url, check_access, may_read, sandbox_of
from deployments.sandbox.clock import precise
from deployments.sandbox.ids import guid
from deployments.sandbox.state.entities import StorageItem
from deployments.sandbox.state.identity import IDENTITY


def find_item(request: Request, parameter: str, kind: str, code: str) -> StorageItem:
    """The item whose id is in the path.

    Raises:
        RefusedError: There is none, or the caller may not see it.
    """
    state = sandbox_of(request)
    key = str(request.path_params[parameter])
    item = state.items.get(state.file_aliases.get(key, key))
    if item is not None and state.options.storage_denied == "forbidden":
        check_access(request, item.itwin_id)
    if item is None or item.type != kind or not may_read(request, item.itwin_id):
        raise RefusedError(404, code, f"{kind.title()} is not available.")
    return item


def item_json(request: Request, item: StorageItem) -> JSON:
    """A file or folder as every operation shows it."""
    base = base_url(request)
    member = {"href": f"{base}/accesscontrol/itwins/{item.itwin_id}/members/{guid(IDENTITY.user)}"}
    body: JSON = {
        "id": item.id,
        "type": item.type,
        "displayName": item.name,
        "description": item.description,
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
