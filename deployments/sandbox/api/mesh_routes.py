"""The Mesh Export API.

https://developer.bentley.com/apis/mesh-export/operations/
"""

from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.responses import (
    JSON,
    Detail,
    Page,
    RefusedError,
    base_url,
    check_access,
    forbidden,
    may_read,
    page_links,
    read_body,
    read_page,
    sandbox_of,
    wants_representation,
)
from deployments.sandbox.clock import milliseconds, seconds
from deployments.sandbox.ids import is_changeset_id, is_guid
from deployments.sandbox.state.entities import IModel
from deployments.sandbox.state.meshes import DEFAULT_TYPE, TYPES, MeshExport
from deployments.sandbox.state.options import Options

CODE = "InvalidMeshExportRequest"
DEFAULT_PAGE = 100
_DELETABLE = {"Complete", "Invalid"}


async def list_exports(request: Request) -> Response:
    """Tilesets of an iModel, newest changeset first; the first listing of an iModel starts its tiles."""
    page = read_page(request, DEFAULT_PAGE, _refuse)
    order, imodel, kind = _order(request), _imodel(request), _type(request.query_params.get("exportType"))
    changeset = _changeset_filter(request)
    if imodel and _is_warming_up(request, imodel):
        return Response(status_code=202)
    state = sandbox_of(request)
    filters_all_types = "exportType" not in request.query_params or state.options.export_type_filter == "ignored"
    exports = [
        export
        for export in list(state.meshes.exports.values())
        if (imodel is None or export.imodel is imodel)
        and may_read(request, export.imodel.id, export.imodel.itwin_id)
        and (filters_all_types or export.export_type == kind)
        and changeset in (None, export.changeset_id)
    ]
    if imodel:
        # After the list is made: right after a change the platform's list is empty, too.
        state.meshes.ensure_latest(imodel, kind)
    now = state.clock.now()
    exports.sort(key=lambda e: (e.changeset_index, e.started_at), reverse=True)
    if order:
        exports.sort(key=lambda e: e.modified_at(now), reverse=order == "date:desc")
    long = wants_representation(request)
    spelling = request.query_params.get("exportType")
    items = [_write(request, export, now, long=long, spelling=spelling) for export in page.of(exports)]
    return JSONResponse({"exports": items, "_links": _links(request, page, len(exports))})


async def start_export(request: Request) -> JSONResponse:
    """Start an export; a second request for the same returns the same export unless that is invalid."""
    body = await read_body(request, CODE)
    state = sandbox_of(request)
    imodel = state.imodels.get(str(body.get("iModelId")).lower())
    if imodel is None:
        raise _refuse("iModelId")
    check_access(request, imodel.id, imodel.itwin_id)
    asked = body.get("exportType")
    kind = _type(asked)
    changeset_id, index = _changeset(imodel, body.get("changesetId", ""))
    export = state.meshes.find(imodel, changeset_id, kind)
    now = state.clock.now()
    if export is None or export.status(now) == "Invalid":
        export = state.meshes.start(imodel, changeset_id, index, kind)
        state.counters["mesh exports started"] += 1
    written = _write(request, export, now, long=True, spelling=asked)
    written.pop("_links", None)
    return JSONResponse({"export": written}, 202)


async def get_export(request: Request) -> JSONResponse:
    """One export, always in full."""
    export = _find(request)
    return JSONResponse({"export": _write(request, export, sandbox_of(request).clock.now(), long=True)})


async def delete_export(request: Request) -> Response:
    """Remove an export that is complete or invalid."""
    if not is_guid(str(request.path_params["export_id"])):
        raise _refuse("id")
    export, state = _find(request), sandbox_of(request)
    if export.status(state.clock.now()) not in _DELETABLE:
        raise _refuse("id")
    state.meshes.delete(export)
    return Response(status_code=204)


def _refuse(target: str) -> RefusedError:
    detail = Detail("InvalidParameter", f"{target} is not acceptable.", target)
    return RefusedError(422, CODE, "Request rejected.", detail)


def _order(request: Request) -> str | None:
    order = request.query_params.get("$orderBy")
    if order not in {None, "date:asc", "date:desc"}:
        raise _refuse("$orderBy")
    return order


def _imodel(request: Request) -> IModel | None:
    """The iModel asked for; 403 for a caller who may not see it."""
    key = request.query_params.get("iModelId")
    if key is None:
        return None
    if not is_guid(key):
        raise _refuse("iModelId")
    imodel = sandbox_of(request).imodels.get(key.lower())
    if imodel is None:
        raise forbidden()
    check_access(request, imodel.id, imodel.itwin_id)
    return imodel


def _type(name: object) -> str:
    """The type in the platform's spelling; clients write 3DTiles and 3DTILES."""
    if name is None or name == "":
        return DEFAULT_TYPE
    kind = TYPES.get(str(name).lower())
    if kind is None:
        raise _refuse("exportType")
    return kind


def _changeset(imodel: IModel, key: object) -> tuple[str, int]:
    """Id and index; an empty id is the latest changeset, or the baseline where there is none."""
    if not isinstance(key, str):
        raise _refuse("changesetId")
    if not key:
        return (imodel.latest.id, imodel.latest.index) if imodel.latest else ("", 0)
    found = next((c for c in imodel.changesets if c.id == key.lower()), None)
    if found is None:
        raise _refuse("changesetId")
    return found.id, found.index


def _is_warming_up(request: Request, imodel: IModel) -> bool:
    state = sandbox_of(request)
    listings = state.meshes.listings
    listings[imodel.id] = listings.get(imodel.id, 0) + 1
    return listings[imodel.id] <= state.options.warm_up_listings


def _find(request: Request) -> MeshExport:
    export = sandbox_of(request).meshes.exports.get(str(request.path_params["export_id"]).lower())
    if export is None:
        raise RefusedError(404, "ExportNotFound", "Export is not available.")
    check_access(request, export.imodel.id, export.imodel.itwin_id)
    return export


def _links(request: Request, page: Page, total: int) -> JSON:
    root = f"{base_url(request)}/mesh-export"
    known = ("iModelId", "changesetId", "exportType", "$orderBy", "cdn")
    kept = "".join(f"{k}={quote(request.query_params[k])}&" for k in known if request.query_params.get(k))
    return page_links(page, total, lambda skip, top: f"{root}/?{kept}$top={top}&$skip={skip}")


def _write(request: Request, export: MeshExport, now: datetime, *, long: bool, spelling: str | None = None) -> JSON:
    status, options = export.status(now), sandbox_of(request).options
    written = milliseconds if options.mesh_dates == "milliseconds" else seconds
    body: JSON = {
        "id": export.id,
        "displayName": export.imodel.name,
        "status": status,
        "lastModified": written(export.modified_at(now)),
    }
    if not long:
        return body
    body["request"] = _write_request(export, spelling, options)
    if status == "Complete":
        with_listing = options.cdn_listing or request.query_params.get("cdn") != "1"
        path = sandbox_of(request).meshes.link(export, with_listing=with_listing)
        body["_links"] = {"mesh": {"href": base_url(request) + path}}
    return body


def _write_request(export: MeshExport, spelling: str | None, options: Options) -> JSON:
    """`request` as real answers have it (observed in iTwin/itwin-unreal-plugin, WebServicesTest.cpp).

    iTwin.js and CesiumJS compare the type with the one they asked for, letter by letter.
    """
    name = export.export_type
    if name == DEFAULT_TYPE and options.mesh_export_type:
        name = options.mesh_export_type
    elif spelling and TYPES.get(spelling.lower()) == name:
        name = spelling
    versions = {} if export.export_type == "IMODEL" else {"exporterVersion": "1.0", "exportTypeVersion": "1.1"}
    return {
        "iModelId": export.imodel.id,
        "changesetId": export.changeset_id,
        options.mesh_itwin_member: export.imodel.itwin_id,
        "exportType": name,
        **versions,
        "currentExporterVersion": "1.0",
        "geometryOptions": {},
    }


def _changeset_filter(request: Request) -> str | None:
    """The changeset asked for, `""` for the baseline, or none."""
    changeset = request.query_params.get("changesetId")
    if changeset and not is_changeset_id(changeset):
        raise _refuse("changesetId")
    if changeset == "" and sandbox_of(request).options.empty_changeset_filter == "no-filter":
        return None
    return changeset.lower() if changeset is not None else None


ROUTES = [
    Route("/mesh-export", list_exports),
    Route("/mesh-export", start_export, methods=["POST"]),
    Route("/mesh-export/{export_id}", get_export),
    Route("/mesh-export/{export_id}", delete_export, methods=["DELETE"]),
]
