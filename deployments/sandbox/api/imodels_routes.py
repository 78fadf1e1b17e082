"""The iModels API v2.

https://developer.bentley.com/apis/imodels-v2/operations/
"""

import base64
import binascii
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.sandbox.api.responses import (
    JSON,
    Item,
    Page,
    RefusedError,
    base_url,
    check_access,
    invalid,
    missing,
    read_page,
    sandbox_of,
    wants_representation,
    whole_number,
)
from deployments.sandbox.clock import plain
from deployments.sandbox.ids import guid, is_changeset_id, is_guid
from deployments.sandbox.state.entities import Changeset, IModel, NamedVersion
from deployments.sandbox.state.identity import IDENTITY

CODE = "InvalidiModelsRequest"
DEFAULT_PAGE = 100
INDEX_DIGITS = 39
_refuse = partial(invalid, CODE)


async def list_imodels(request: Request) -> JSONResponse:
    """IModels of an iTwin."""
    query = request.query_params
    itwin_id = query.get("iTwinId")
    if itwin_id is None:
        raise missing(CODE, "iTwinId")
    if not is_guid(itwin_id):
        raise _refuse("iTwinId")
    if query.get("state") not in {None, "initialized", "notInitialized"}:
        raise _refuse("state")
    descending, key = _order(request, {"name", "createdDateTime"}, "createdDateTime")
    page = _page(request)
    state = sandbox_of(request)
    check_access(request, itwin_id.lower())
    if itwin_id.lower() not in state.itwins:
        raise RefusedError(404, "iTwinNotFound", "iTwin is not available.")
    found = [m for m in list(state.imodels.values()) if m.itwin_id == itwin_id.lower() and _matches(request, m)]
    if key == "name":
        found.sort(key=lambda m: m.name, reverse=descending)
    elif descending:
        found.reverse()
    write = _imodel if wants_representation(request) else _imodel_minimal
    return _answer(request, "iModels", [write(request, m) for m in page.of(found)], page, len(found))


async def get_imodel(request: Request) -> JSONResponse:
    """One iModel."""
    return JSONResponse({"iModel": _imodel(request, find_imodel(request))})


async def list_changesets(request: Request) -> JSONResponse:
    """Changesets of an iModel, by index."""
    descending, _ = _order(request, {"index"}, "index")
    after = whole_number(request, "afterIndex", _refuse, default=0, least=0, most=2**31)
    last = whole_number(request, "lastIndex", _refuse, default=2**31, least=0, most=2**31)
    page = _page(request)
    imodel = find_imodel(request)
    found = [c for c in imodel.changesets if after < c.index <= last]
    if descending:
        found.reverse()
    long = wants_representation(request)
    items = [_changeset(request, imodel, c, long=long) for c in page.of(found)]
    return _answer(request, "changesets", items, page, len(found))


async def get_changeset(request: Request) -> JSONResponse:
    """One changeset, by id or index."""
    key = str(request.path_params["key"])
    is_index = key.isascii() and key.isdigit() and len(key) <= INDEX_DIGITS
    if not is_index and not is_changeset_id(key):
        raise _refuse("changesetId")
    imodel = find_imodel(request)
    wanted = int(key) if is_index else key.lower()
    found = next((c for c in imodel.changesets if wanted in (c.id, c.index)), None)
    if found is None:
        raise RefusedError(404, "ChangesetNotFound", "Changeset is not available.")
    return JSONResponse({"changeset": _changeset(request, imodel, found, long=True)})


async def list_named_versions(request: Request) -> JSONResponse:
    """Named versions of an iModel."""
    query = request.query_params
    if query.get("state") not in {None, "visible", "hidden"}:
        raise _refuse("state")
    descending, key = _order(request, {"changesetIndex", "createdDateTime"}, "createdDateTime")
    page = _page(request)
    imodel = find_imodel(request)
    found = [v for v in imodel.named_versions if _matches_version(request, v)]
    if key == "changesetIndex":
        found.sort(key=lambda v: v.changeset_index, reverse=descending)
    elif descending:
        found.reverse()
    long = wants_representation(request)
    items = [_version(request, imodel, v, long=long) for v in page.of(found)]
    return _answer(request, "namedVersions", items, page, len(found))


def find_imodel(request: Request) -> IModel:
    """The iModel named in the path.

    Raises:
        RefusedError: 422, 403 or 404.
    """
    key = str(request.path_params["imodel_id"])
    if not is_guid(key):
        raise _refuse("id")
    imodel = sandbox_of(request).imodels.get(key.lower())
    if imodel is None:
        raise RefusedError(404, "iModelNotFound", "iModel is not available.")
    check_access(request, imodel.id, imodel.itwin_id)
    return imodel


def _matches(request: Request, imodel: IModel) -> bool:
    query = request.query_params
    text = query.get("$search", "").lower()
    return (
        query.get("name", imodel.name) == imodel.name
        and query.get("state", imodel.state) == imodel.state
        and (text in imodel.name.lower() or text in (imodel.description or "").lower())
    )


def _matches_version(request: Request, version: NamedVersion) -> bool:
    query = request.query_params
    return (
        query.get("name", version.name) == version.name
        and query.get("state", version.state) == version.state
        and query.get("$search", "").lower() in version.name.lower()
    )


def _order(request: Request, allowed: set[str], default: str) -> tuple[bool, str]:
    """Whether descending, and by what."""
    words = request.query_params.get("$orderBy", default).split()
    if len(words) not in {1, 2} or words[0] not in allowed or words[1:] not in ([], ["asc"], ["desc"]):
        raise _refuse("$orderBy")
    return words[1:] == ["desc"], words[0]


def _page(request: Request) -> Page:
    """`$continuationToken` takes the place of `$skip`."""
    page = read_page(request, DEFAULT_PAGE, _refuse)
    token = request.query_params.get("$continuationToken")
    if not token:
        return page
    try:
        return Page(int(base64.urlsafe_b64decode(token).decode()), page.top)
    except (binascii.Error, ValueError):
        raise _refuse("$continuationToken") from None


def _answer(request: Request, name: str, items: Sequence[Item], page: Page, total: int) -> JSONResponse:
    before = max(0, page.skip - page.top) if page.skip else None
    after = page.skip + page.top if page.skip + page.top < total else None
    links = {
        "self": _link(request, page.skip, page.top),
        "prev": _link(request, before, page.top),
        "next": _link(request, after, page.top),
    }
    return JSONResponse({name: items, "_links": links})


def _link(request: Request, skip: int | None, top: int) -> JSON | None:
    if skip is None:
        return None
    own = {"$skip", "$top", "$continuationToken"}
    kept = [f"{quote(k, safe='$')}={quote(v)}" for k, v in request.query_params.items() if k not in own]
    if "$continuationToken" in request.query_params:
        kept.append(f"$continuationToken={quote(base64.urlsafe_b64encode(str(skip).encode()))}")
    else:
        kept.append(f"$skip={skip}")
    return {"href": f"{base_url(request)}{request.url.path}?{'&'.join([*kept, f'$top={top}'])}"}


def _imodel_minimal(_request: Request, imodel: IModel) -> JSON:
    return {"id": imodel.id, "displayName": imodel.name}


def _imodel(request: Request, imodel: IModel) -> JSON:
    root = f"{base_url(request)}/imodels/{imodel.id}"
    latest = imodel.latest
    return {
        "id": imodel.id,
        "displayName": imodel.name,
        "dataCenterLocation": "East US",
        "name": imodel.name,
        "description": imodel.description,
        "state": imodel.state,
        "createdDateTime": plain(imodel.created_at),
        "lastChangesetPushDateTime": plain(latest.pushed_at) if latest else None,
        "iTwinId": imodel.itwin_id,
        "isSecured": False,
        "extent": None,
        "containersEnabled": 0,
        "_links": {
            "creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"},
            "changesets": {"href": f"{root}/changesets"},
            "namedVersions": {"href": f"{root}/namedversions"},
        },
    }


def _changeset(request: Request, imodel: IModel, changeset: Changeset, *, long: bool) -> JSON:
    root = f"{base_url(request)}/imodels/{imodel.id}"
    body: JSON = {
        "id": changeset.id,
        "displayName": str(changeset.index),
        "description": changeset.description,
        "index": changeset.index,
        "parentId": changeset.parent_id,
        "creatorId": guid(IDENTITY.user),
        "pushDateTime": plain(changeset.pushed_at),
        "state": "fileUploaded",
        "containingChanges": 0,
        "fileSize": 18000 + changeset.index,
        "briefcaseId": 2,
        "groupId": None,
        "_links": {
            "self": {"href": f"{root}/changesets/{changeset.id}"},
            "creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"},
        },
    }
    if long:
        body |= {"application": {"id": "sandbox", "name": "Sandbox"}, "synchronizationInfo": None}
        body["_links"] |= {"namedVersion": None, "currentOrPrecedingCheckpoint": None, "download": None}
    return body


def _version(request: Request, imodel: IModel, version: NamedVersion, *, long: bool) -> JSON:
    body: JSON = {
        "id": version.id,
        "displayName": version.name,
        "changesetId": version.changeset_id,
        "changesetIndex": version.changeset_index,
    }
    if long:
        root = f"{base_url(request)}/imodels/{imodel.id}"
        changeset = {"href": f"{root}/changesets/{version.changeset_id}"} if version.changeset_id else None
        body |= {
            "name": version.name,
            "description": None,
            "createdDateTime": plain(version.created_at),
            "state": version.state,
            "application": None,
            "_links": {"creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"}, "changeset": changeset},
        }
    return body


ROUTES = [
    Route("/imodels", list_imodels),
    Route("/imodels/{imodel_id}", get_imodel),
    Route("/imodels/{imodel_id}/changesets", list_changesets),
    Route("/imodels/{imodel_id}/changesets/{key}", get_changeset),
    Route("/imodels/{imodel_id}/namedversions", list_named_versions),
]
