"""The iTwins API: which iTwins the caller is a member of.

https://developer.bentley.com/apis/itwins/operations/
"""

from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.sandbox.api.responses import (
    JSON,
    RefusedError,
    base_url,
    invalid,
    may_read,
    page_links,
    read_page,
    sandbox_of,
    wants_minimal,
    wants_representation,
)
from deployments.sandbox.clock import milliseconds
from deployments.sandbox.ids import guid
from deployments.sandbox.state.entities import ITwin
from deployments.sandbox.state.identity import IDENTITY

CODE = "InvalidiTwinsRequest"
DEFAULT_MAX_RETURN = 1000
LARGEST_MAX_RETURN = 10_000
ACCOUNT_ID = guid("account")
SUB_CLASSES = {"Account", "Asset", "Project", "Portfolio", "Program", "WorkPackage"}
STATUSES = {"Active", "Inactive", "Trial"}
_MINIMAL = ("id", "class", "subClass", "type", "number", "displayName")
_EXACT = ("type", "number", "displayName", "parentId", "iTwinAccountId")
_PAGING = {"$skip", "$top"}
_refuse = partial(invalid, CODE)


async def list_itwins(request: Request) -> JSONResponse:
    """All of them but the inactive ones, unless these are asked for."""
    _check_query(request)
    found = [write for write in _written(request) if _matches(request, write)]
    if order := request.query_params.get("$orderby"):
        found.sort(key=lambda item: str(item[order.split()[0]]), reverse=order.endswith(" desc"))
    return _answer(request, found, "/itwins/")


async def list_recents(request: Request) -> JSONResponse:
    """Recently used ones or favorites; the sandbox takes every iTwin for both."""
    path = request.url.path.rstrip("/")
    return _answer(request, _written(request), f"{path}/" if path.endswith("favorites") else path)


async def get_itwin(request: Request) -> JSONResponse:
    """One iTwin; unknown, malformed and foreign ids are 404 alike."""
    key = str(request.path_params["itwin_id"]).lower()
    itwin = sandbox_of(request).itwins.get(key)
    if itwin is None or not may_read(request, key):
        raise RefusedError(404, "iTwinNotFound", "iTwin is not available.")
    full = _write(itwin)
    return JSONResponse({"iTwin": _shortened(full) if wants_minimal(request) else full})


def _check_query(request: Request) -> None:
    query = request.query_params
    if not set(query.get("subClass", "Project").split(",")) <= SUB_CLASSES:
        raise _refuse("subClass")
    if query.get("status", "Active") not in STATUSES or ("status" in query and "includeInactive" in query):
        raise _refuse("status")
    if query.get("includeInactive", "false").lower() not in {"true", "false"}:
        raise _refuse("includeInactive")
    if "$search" in query and {"number", "displayName"} & set(query):
        raise _refuse("$search")
    if "$filter" in query:
        raise _refuse("$filter", "The sandbox does not evaluate OData filters.")
    name, _, direction = query.get("$orderby", "displayName").partition(" ")
    if name not in _write(next(iter(sandbox_of(request).itwins.values()))) or direction not in {"", "asc", "desc"}:
        raise _refuse("$orderby")


def _written(request: Request) -> list[JSON]:
    return [_write(itwin) for itwin in list(sandbox_of(request).itwins.values()) if may_read(request, itwin.id)]


def _matches(request: Request, item: JSON) -> bool:
    query = request.query_params
    text = query.get("$search", "").lower()
    is_shown = item["status"] == query.get("status", item["status"])
    if "status" not in query and query.get("includeInactive", "false").lower() == "false":
        is_shown = item["status"] != "Inactive"
    return (
        is_shown
        and ("subClass" not in query or item["subClass"] in query["subClass"].split(","))
        and all(query[name] == item[name] for name in _EXACT if name in query)
        and (text in item["displayName"].lower() or text in (item["number"] or "").lower())
    )


def _answer(request: Request, found: Sequence[JSON], path: str) -> JSONResponse:
    page = read_page(request, sandbox_of(request).options.itwins_page, _refuse)
    most = request.headers.get("x-max-return", str(DEFAULT_MAX_RETURN))
    if not (most.isascii() and most.isdigit() and 1 <= int(most[:6]) <= LARGEST_MAX_RETURN):
        raise _refuse("X-Max-Return")
    total = min(len(found), int(most))
    shown = page.of(found[:total])
    items = shown if wants_representation(request) else [_shortened(item) for item in shown]
    query = request.query_params
    kept = "".join(f"&{quote(k, safe='$')}={quote(v)}" for k, v in query.items() if k not in _PAGING)
    root = f"{base_url(request)}{path}"
    links = page_links(page, total, lambda skip, top: f"{root}?$skip={skip}&$top={top}{kept}")
    return JSONResponse({"iTwins": list(items), "_links": links}, headers={"X-Max-Return": most})


def _shortened(item: JSON) -> JSON:
    return {name: item[name] for name in _MINIMAL}


def _write(itwin: ITwin) -> JSON:
    return {
        "id": itwin.id,
        "class": "Endeavor",
        "subClass": itwin.sub_class,
        "type": None,
        "number": itwin.number or itwin.name,
        "displayName": itwin.name,
        "geographicLocation": None,
        "latitude": None,
        "longitude": None,
        "ianaTimeZone": None,
        "dataCenterLocation": "East US",
        "status": itwin.status,
        "parentId": ACCOUNT_ID,
        "iTwinAccountId": ACCOUNT_ID,
        "imageName": None,
        "image": None,
        "createdDateTime": milliseconds(itwin.created_at),
        "createdBy": guid(IDENTITY.user),
        "lastModifiedDateTime": None,
        "lastModifiedBy": None,
    }


ROUTES = [
    Route("/itwins", list_itwins),
    Route("/itwins/recents", list_recents),
    Route("/itwins/favorites", list_recents),
    Route("/itwins/{itwin_id}", get_itwin),
]
