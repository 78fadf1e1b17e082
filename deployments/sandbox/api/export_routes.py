"""The Export API.

https://developer.bentley.com/apis/export/operations/
"""

from functools import partial
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.export_requests import RUN_CODE, check_run_request
from deployments.sandbox.api.pages import page
from deployments.sandbox.api.responses import (
    JSON,
    Page,
    RefusedError,
    base_url,
    caller_of,
    check_access,
    forbidden,
    invalid,
    missing,
    page_links,
    read_body,
    read_page,
    sandbox_of,
)
from deployments.sandbox.api.run_json import write_run
from deployments.sandbox.ids import guid, is_connection_id, is_guid, pair_id
from deployments.sandbox.state.entities import Connection, Run
from deployments.sandbox.state.exporter import Exporter
from deployments.sandbox.state.identity import IDENTITY

CONNECTION_CODE = "InvalidExportConnectionRequest"
LIST_CODE = "InvalidConnectionsRequest"
DEFAULT_PAGE = 50
CONSENT = "/sandbox/consent"


def exporter_of(request: Request) -> Exporter:
    """The exporter of this application."""
    exporter: Exporter = request.app.state.exporter
    return exporter


async def create_connection(request: Request) -> JSONResponse:
    """Register an iModel; an unknown one is 422, because 404 is not documented here."""
    body = await read_body(request, CONNECTION_CODE)
    if "iModelId" not in body:
        raise missing(CONNECTION_CODE, "imodelId", "MissingRequiredProperty")
    state = sandbox_of(request)
    imodel = state.imodels.get(str(body["iModelId"]).lower())
    if imodel is None:
        raise invalid(CONNECTION_CODE, "imodelId")
    kind = body.get("authenticationType", "User")
    if kind not in ("User", "Service"):
        raise invalid(CONNECTION_CODE, "authenticationType")
    name = body.get("displayName")
    if not isinstance(name, str | None):
        raise invalid(CONNECTION_CODE, "displayName")
    key = pair_id(imodel.id, guid("connection", state.next_number("connection")))
    subject = caller_of(request).subject
    connection = Connection(key, imodel.id, imodel.itwin_id, name, str(kind), subject)
    state.connections[key] = connection
    state.counters["connections created"] += 1
    return JSONResponse({"connection": _write_connection(request, connection)}, 201)


async def list_connections(request: Request) -> JSONResponse:
    """Connections of one iModel, whoever created them."""
    asked = read_page(request, DEFAULT_PAGE, partial(invalid, LIST_CODE))
    imodel_id = _listed_imodel(request, asked)
    state = sandbox_of(request)
    if imodel_id not in state.imodels:
        raise RefusedError(404, "ConnectionNotFound", "iModel is not available.")
    check_access(request, imodel_id, state.imodels[imodel_id].itwin_id)
    subject = caller_of(request).subject
    own_only = state.options.connections_visible == "own"
    found = [
        c
        for c in list(state.connections.values())
        if c.imodel_id == imodel_id and (c.created_by == subject or not own_only)
    ]
    for skip in (max(0, asked.skip - asked.top), asked.skip, asked.skip + asked.top):
        state.listed_connections[subject, skip, asked.top] = imodel_id
    kept = f"imodelId={imodel_id}&" if state.options.paging_links == "correct" else ""
    link = f"{base_url(request)}/export/connections?{kept}"
    links = page_links(asked, len(found), lambda skip, top: f"{link}$skip={skip}&$top={top}")
    items = [_write_connection(request, c) for c in asked.of(found)]
    return JSONResponse({"connections": items, "_links": links})


def _listed_imodel(request: Request, asked: Page) -> str:
    """The iModel asked for; a documented paging link leaves it out and means the list it came from."""
    imodel_id = request.query_params.get("imodelId")
    if imodel_id is None:
        page = (caller_of(request).subject, asked.skip, asked.top)
        imodel_id = sandbox_of(request).listed_connections.get(page, "")
    if not is_guid(imodel_id):
        raise invalid(LIST_CODE, "imodelId")
    return imodel_id.lower()


async def get_connection(request: Request) -> JSONResponse:
    """One connection."""
    connection = _find(request, CONNECTION_CODE)
    check_access(request, connection.imodel_id, connection.itwin_id)
    return JSONResponse({"connection": _write_connection(request, connection)})


async def delete_connection(request: Request) -> Response:
    """Remove a connection that has no active run."""
    connection = _find(request, CONNECTION_CODE)
    for run in connection.runs:
        await exporter_of(request).settle(run)
    if any(run.is_active for run in connection.runs):
        raise RefusedError(409, "ConnectionAlreadyInUse", "Connection is busy.")
    del sandbox_of(request).connections[connection.id]
    return Response(status_code=204)


async def create_run(request: Request) -> Response:
    """202 and the new run, or 303 and the active run of the iModel, both without a body; 409 while another starts."""
    connection = _find(request, RUN_CODE)
    check_access(request, connection.imodel_id, connection.itwin_id)
    state, subject = sandbox_of(request), caller_of(request).subject
    body = check_run_request(state, connection, await read_body(request, RUN_CODE))
    lacks_consent = connection.authentication_type == "User" and subject not in state.consents
    if lacks_consent and state.options.missing_consent == "forbidden":
        raise forbidden()
    exporter = exporter_of(request)
    async with exporter.starting(connection.imodel_id) as is_first:
        if not is_first:
            raise RefusedError(409, "ConflictWithAnotherIModelRequest", "Another run of the iModel is being created.")
        active = await exporter.active_run(connection.imodel_id)
        status, run = (303, active) if active else (202, exporter.start(connection, body, subject))
    return Response(status_code=status, headers={"Location": _location(request, run)})


async def list_runs(request: Request) -> JSONResponse:
    """Run history with jobs and tasks, without `connectionId`."""
    asked = read_page(request, DEFAULT_PAGE, partial(invalid, RUN_CODE))
    connection = _find(request, RUN_CODE)
    check_access(request, connection.imodel_id, connection.itwin_id)
    state = sandbox_of(request)
    runs = list(connection.runs)
    if state.options.runs_order == "newest-first":
        runs.reverse()
    items: list[JSON] = []
    for run in asked.of(runs):
        await exporter_of(request).settle(run)
        items.append(write_run(run, state.clock.now(), state.options))
        del items[-1]["connectionId"]
    mark = "?" if state.options.paging_links == "correct" else "&"
    link = f"{base_url(request)}/export/connections/{connection.id}/runs{mark}"
    links = page_links(asked, len(runs), lambda skip, top: f"{link}$skip={skip}&$top={top}")
    return JSONResponse({"runs": items, "_links": links})


async def get_run(request: Request) -> JSONResponse:
    """One run."""
    connection = _find(request, RUN_CODE, RefusedError(404, "ConnectionRunNotFound", "Run is not available."))
    check_access(request, connection.imodel_id, connection.itwin_id)
    run = next((r for r in connection.runs if r.id == request.path_params["run_id"]), None)
    if run is None:
        raise RefusedError(404, "ConnectionRunNotFound", "Run is not available.")
    state = sandbox_of(request)
    await exporter_of(request).settle(run)
    run.polls += 1
    return JSONResponse({"run": write_run(run, state.clock.now(), state.options)})


async def authorization_information(request: Request) -> JSONResponse:
    """Whether the caller has consented, and the page to consent on."""
    code = "InvalidAuthorizationInformationRequest"
    redirect = request.query_params.get("redirectUrl", "")
    parts = urlsplit(redirect) if _is_url(redirect) else None
    if parts is None:
        raise invalid(code, "$redirectUrl", "redirectUrl has to be a URL.")
    caller, state = caller_of(request), sandbox_of(request)
    if caller.client_id == IDENTITY.service.id and state.options.service_authorization == "forbidden":
        raise forbidden()
    subject = caller.subject
    query = urlencode({"redirect_url": redirect, "user": subject})
    body = {
        "isUserAuthorized": subject in state.consents,
        "_links": {"authorizationUrl": {"href": f"{base_url(request)}{CONSENT}?{query}"}},
    }
    return JSONResponse({"authorizationInformation": body})


async def consent_page(request: Request) -> Response:
    """Two buttons; the first lets the export service act for the user."""
    if sandbox_of(request).options.auto_consent:
        return _consented(request, request.query_params)
    question = "May the export service read iModels and write files in your name?"
    return page("Consent to exports", question, str(request.query_params), "Allow")


async def give_consent(request: Request) -> Response:
    """Handle the buttons."""
    form = QueryParams((await request.body()).decode())
    if form.get("answer") == "yes":
        return _consented(request, form)
    return RedirectResponse(form.get("redirect_url", "/"), 302)


def _consented(request: Request, query: QueryParams) -> Response:
    sandbox_of(request).consents.add(query.get("user", ""))
    target = query.get("redirect_url")
    if not target:
        return HTMLResponse("<h1>Thank you</h1>")
    return RedirectResponse(target, 302)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _find(request: Request, code: str, unknown: RefusedError | None = None) -> Connection:
    key = str(request.path_params["connection_id"])
    if not is_connection_id(key):
        raise invalid(code, "connectionId")
    connection = sandbox_of(request).connections.get(key)
    if connection is None:
        raise unknown or RefusedError(404, "ConnectionNotFound", "Connection is not available.")
    return connection


def _location(request: Request, run: Run) -> str:
    path = f"/export/connections/{run.connection_id}/runs/{run.id}"
    return path if sandbox_of(request).options.run_location == "relative" else base_url(request) + path


def _write_connection(request: Request, connection: Connection) -> JSON:
    root = base_url(request)
    links: JSON = {
        "iModel": {"href": f"{root}/imodels/{connection.imodel_id}"},
        "iTwin": {"href": f"{root}/itwins/{connection.itwin_id}"},
    }
    if connection.runs:
        last = connection.runs[-1].id
        links["lastRun"] = {"href": f"{root}/export/connections/{connection.id}/runs/{last}"}
    return {
        "id": connection.id,
        "displayName": connection.name,
        "iModelId": connection.imodel_id,
        "iTwinId": connection.itwin_id,
        "authenticationType": connection.authentication_type,
        "_links": links,
    }


_ONE = "/export/connections/{connection_id}"
ROUTES = [
    Route("/export/connections", list_connections),
    Route("/export/connections", create_connection, methods=["POST"]),
    Route(_ONE, get_connection),
    Route(_ONE, delete_connection, methods=["DELETE"]),
    Route(f"{_ONE}/runs", list_runs),
    Route(f"{_ONE}/runs", create_run, methods=["POST"]),
    Route(f"{_ONE}/runs/{{run_id}}", get_run),
    Route("/export/authorizationinformation", authorization_information),
    Route(CONSENT, consent_page),
    Route(CONSENT, give_consent, methods=["POST"]),
]
