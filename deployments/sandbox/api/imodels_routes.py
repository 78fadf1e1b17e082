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

from deployments.sandbox.api.imodel_json import (
    write_changeset,
    write_imodel,
    write_imodel_minimal,
    write_named_version,
)
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
from deployments.sandbox.ids import is_changeset_id, is_guid
from deployments.sandbox.state.entities import Changeset, IModel, NamedVersion

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
    write = write_imodel if wants_representation(request) else write_imodel_minimal
    return _answer(request, "iModels", [write(request, m) for m in page.of(found)], page, len(found))


async def get_imodel(request: Request) -> JSONResponse:
    """One iModel."""
    return JSONResponse({"iModel": write_imodel(request, find_imodel(request))})


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
    items = [write_changeset(request, imodel, c, long=long) for c in page.of(found)]
    return _answer(request, "changesets", items, page, len(found))


async def get_changeset(request: Request) -> JSONResponse:
    """One changeset, by id or index."""
    imodel, found = find_changeset(request)
    return JSONResponse({"changeset": write_changeset(request, imodel, found, long=True)})


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
    items = [write_named_version(request, imodel, v, long=long) for v in page.of(found)]
    return _answer(request, "namedVersions", items, page, len(found))


async def get_named_version(request: Request) -> JSONResponse:
    """One named version, always in full."""
    imodel, found = find_named_version(request)
    return JSONResponse({"namedVersion": write_named_version(request, imodel, found, long=True)})


def find_changeset(request: Request) -> tuple[IModel, Changeset]:
    """The changeset named in the path by id or index, and its iModel.

    Raises:
        RefusedError: 422, 403 or 404.
    """
    key = str(request.path_params["key"])
    is_index = key.isascii() and key.isdigit() and len(key) <= INDEX_DIGITS
    if not is_index and not is_changeset_id(key):
        raise _refuse("changesetId")
    imodel = find_imodel(request)
    wanted = int(key) if is_index else key.lower()
    found = next((c for c in imodel.changesets if wanted in (c.id, c.index)), None)
    if found is None:
        raise RefusedError(404, "ChangesetNotFound", "Changeset is not available.")
    return imodel, found


def find_named_version(request: Request) -> tuple[IModel, NamedVersion]:
    """The named version in the path, and its iModel.

    Raises:
        RefusedError: 422, 403 or 404.
    """
    key = str(request.path_params["version_id"])
    if not is_guid(key):
        raise _refuse("namedVersionId")
    imodel = find_imodel(request)
    found = next((v for v in imodel.named_versions if v.id == key.lower()), None)
    if found is None:
        raise RefusedError(404, "NamedVersionNotFound", "Named version is not available.")
    return imodel, found


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
    is_ignored = sandbox_of(request).options.named_version_state == "ignored"
    return (
        query.get("name", version.name) == version.name
        and (is_ignored or query.get("state", version.state) == version.state)
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


ROUTES = [
    Route("/imodels", list_imodels),
    Route("/imodels/{imodel_id}", get_imodel),
    Route("/imodels/{imodel_id}/changesets", list_changesets),
    Route("/imodels/{imodel_id}/changesets/{key}", get_changeset),
    Route("/imodels/{imodel_id}/namedversions", list_named_versions),
    Route("/imodels/{imodel_id}/namedversions/{version_id}", get_named_version),
]
