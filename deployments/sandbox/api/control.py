"""The sandbox's own API, for tests and demos that run in another process."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.responses import JSON, base_url, sandbox_of
from deployments.sandbox.api.run_json import state_of
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.entities import Outcome, Run
from deployments.sandbox.state.sandbox_state import SandboxState

Handler = Callable[[Request], Awaitable[Response]]
_NEW_FAULT = {f.name for f in fields(Fault) if f.init}
_NEW_OUTCOME = {f.name for f in fields(Outcome)} - {"content"}


def _validated(handler: Handler) -> Handler:
    """Answer 400 with the reason when the handler cannot take the body."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return answer


async def show_state(request: Request) -> JSONResponse:
    """Counters, runs, faults and consents."""
    state = sandbox_of(request)
    return JSONResponse(
        {
            "now": state.clock.now().isoformat(),
            "counters": dict(state.counters),
            "requests": len(state.log),
            "imodels": len(state.imodels),
            "connections": len(state.connections),
            "runs": [_run(state, run) for run in state.runs],
            "runsByImodel": Counter(run.imodel_id for run in state.runs),
            "meshExports": [
                {"id": m.id, "imodelId": m.imodel.id, "status": m.status(state.clock.now())}
                for m in state.meshes.exports.values()
            ],
            "webhooks": [{"id": hook.id, "active": hook.active} for hook in state.webhooks.known.values()],
            "deliveries": [
                {"messageId": d.message_id, "eventType": d.event_type, "statuses": list(d.statuses)}
                for d in state.webhooks.deliveries
            ],
            "files": [{"id": i.id, "name": i.name, "size": i.size} for i in state.items.values() if i.type == "file"],
            "consents": sorted(state.consents),
            "faults": [asdict(fault) for fault in state.faults.ordered],
            "options": asdict(state.options),
        }
    )


async def show_requests(request: Request) -> JSONResponse:
    """The request log; `?after=number` leaves out what was seen before."""
    after = int(request.query_params.get("after", "0"))
    entries = [
        asdict(entry) | {"at": entry.at.isoformat()} for entry in sandbox_of(request).log if entry.number > after
    ]
    return JSONResponse({"requests": entries})


async def add_imodels(request: Request) -> JSONResponse:
    """`{itwinId?, name, count?, changesets?, elements?, tiles?}`: one, or many with numbered names."""
    body, state = await _body(request), sandbox_of(request)
    itwin_id = body.get("itwinId") or next(iter(state.itwins))
    sizes = {key: int(body[key]) for key in ("changesets", "elements", "tiles") if key in body}
    count = body.get("count")
    names = [f"{body['name']} {n:04}" for n in range(1, count + 1)] if count else [str(body["name"])]
    made = [state.add_imodel(itwin_id, name, **sizes) for name in names]
    return JSONResponse({"imodels": [{"id": m.id, "name": m.name} for m in made]}, 201)


async def push_changesets(request: Request) -> JSONResponse:
    """`{count?, gap?}`: new changesets of one iModel."""
    body, state = await _body(request), sandbox_of(request)
    imodel_id = str(request.path_params["imodel_id"])
    made = [state.push_changeset(imodel_id, gap=int(body.get("gap", 0))) for _ in range(int(body.get("count", 1)))]
    return JSONResponse({"changesets": [{"id": c.id, "index": c.index} for c in made]}, 201)


async def name_version(request: Request) -> JSONResponse:
    """`{name, index?, description?}`: name the latest changeset of one iModel, or the one of that index."""
    body = _only(await _body(request), {"name", "index", "description"})
    version = sandbox_of(request).name_version(str(request.path_params["imodel_id"]), **body)
    return JSONResponse({"id": version.id, "changesetId": version.changeset_id}, 201)


async def change_version(request: Request) -> JSONResponse:
    """Set `name`, `description` or `state` of one named version."""
    imodel = sandbox_of(request).imodels[str(request.path_params["imodel_id"])]
    (version,) = [v for v in imodel.named_versions if v.id == request.path_params["version_id"]]
    _set(version, await _body(request), {"name", "description", "state"})
    return JSONResponse({"id": version.id})


async def add_itwin(request: Request) -> JSONResponse:
    """`{name}`: a new iTwin."""
    made = sandbox_of(request).add_itwin(str((await _body(request))["name"]))
    return JSONResponse({"id": made.id}, 201)


async def repeat_delivery(request: Request) -> JSONResponse:
    """`{messageId}`: deliver again what was delivered before."""
    repeated = sandbox_of(request).webhooks.repeat(str((await _body(request))["messageId"]))
    return JSONResponse({"repeated": repeated}, 201)


async def change_imodel(request: Request) -> JSONResponse:
    """Change one iModel: `name`, `state`, `elements`, `tiles`, `run_seconds`, `mesh_seconds`."""
    imodel = sandbox_of(request).imodels[str(request.path_params["imodel_id"])]
    _set(imodel, await _body(request), {"name", "state", "elements", "tiles", "run_seconds", "mesh_seconds"})
    return JSONResponse({"id": imodel.id})


async def script_outcomes(request: Request) -> JSONResponse:
    """`{imodelId, outcomes: [{result, …}], always?}`: how the next runs end, or all of them."""
    body, state = await _body(request), sandbox_of(request)
    imodel_id = body["imodelId"]
    outcomes = [Outcome(**_only(spec, _NEW_OUTCOME)) for spec in body["outcomes"]]
    if body.get("always"):
        state.script_always(imodel_id, outcomes[-1])
    else:
        state.script(imodel_id, *outcomes)
    return JSONResponse({"scripted": len(outcomes)}, 201)


async def script_meshes(request: Request) -> JSONResponse:
    """`{imodelId, endings: ["Invalid", …]}`: how the next generations of tiles end."""
    body = await _body(request)
    sandbox_of(request).meshes.script(body["imodelId"], *body["endings"])
    return JSONResponse({"scripted": len(body["endings"])}, 201)


async def add_fault(request: Request) -> JSONResponse:
    """The members of `Fault`."""
    fault = sandbox_of(request).faults.add(Fault(**_only(await _body(request), _NEW_FAULT)))
    return JSONResponse(asdict(fault), 201)


async def clear_faults(request: Request) -> Response:
    """Remove every fault."""
    sandbox_of(request).faults.clear()
    return Response(status_code=204)


async def set_options(request: Request) -> JSONResponse:
    """Set members of `Options`."""
    options = sandbox_of(request).options
    _set(options, await _body(request), {f.name for f in fields(options)})
    return JSONResponse(asdict(options))


async def advance_clock(request: Request) -> JSONResponse:
    """`{seconds}`: move the clock on."""
    clock = sandbox_of(request).clock
    clock.advance(float((await _body(request))["seconds"]))
    return JSONResponse({"now": clock.now().isoformat()})


async def set_consent(request: Request) -> JSONResponse:
    """`{user, granted}`."""
    body, state = await _body(request), sandbox_of(request)
    change = state.consents.add if body.get("granted", True) else state.consents.discard
    change(str(body["user"]))
    return JSONResponse({"consents": sorted(state.consents)})


async def set_denied(request: Request) -> JSONResponse:
    """`{id, denied}`: answer 403 for an iTwin or iModel."""
    body, state = await _body(request), sandbox_of(request)
    change = state.denied.add if body.get("denied", True) else state.denied.discard
    change(str(body["id"]))
    return JSONResponse({"denied": sorted(state.denied)})


async def revoke_tokens(request: Request) -> Response:
    """Every access token issued so far stops working."""
    sandbox_of(request).tokens.revoke_access_tokens()
    return Response(status_code=204)


async def create_share(request: Request) -> JSONResponse:
    """`{itwinId?, seconds?}`: a share key of an iTwin, for `Authorization: Basic <shareKey>`."""
    body, state = await _body(request), sandbox_of(request)
    itwin_id = str(body.get("itwinId") or next(iter(state.itwins)))
    return JSONResponse({"shareKey": state.tokens.mint_share_key(itwin_id, float(body.get("seconds", 3600)))}, 201)


async def mint_sas(request: Request) -> JSONResponse:
    """`{container, blob?, permissions?, seconds?, signed?}`: a SAS URL of the blob account; creates the container."""
    body, blobs = await _body(request), sandbox_of(request).blobs
    blobs.create_container(str(body["container"]))
    path = blobs.signed_path(
        str(body["container"]),
        body.get("blob"),
        permissions=str(body.get("permissions", "rcw")),
        seconds=float(body.get("seconds", 3600)),
        signed=body.get("signed"),
    )
    return JSONResponse({"url": base_url(request) + path}, 201)


def _run(state: SandboxState, run: Run) -> JSON:
    return {
        "id": run.id,
        "connectionId": run.connection_id,
        "imodelId": run.imodel_id,
        "changesetId": run.changeset_id,
        "state": state_of(run, state.clock.now()),
        "result": run.outcome.result,
        "polls": run.polls,
        "createdBy": run.created_by,
    }


async def _body(request: Request) -> JSON:
    raw = await request.body()
    body: Any = await request.json() if raw else {}
    if not isinstance(body, dict):
        raise TypeError("a JSON object is needed")
    return cast("JSON", body)


def _only(members: JSON, allowed: set[str]) -> JSON:
    unknown = set(members) - allowed
    if unknown:
        raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
    return members


def _set(target: object, members: JSON, allowed: set[str]) -> None:
    for name, value in _only(members, allowed).items():
        setattr(target, name, value)


def _post(path: str, handler: Handler, *methods: str) -> Route:
    return Route(f"/sandbox{path}", _validated(handler), methods=list(methods) or ["POST"])


ROUTES = [
    Route("/sandbox/state", show_state),
    Route("/sandbox/requests", show_requests),
    _post("/itwins", add_itwin),
    _post("/imodels", add_imodels),
    _post("/imodels/{imodel_id}", change_imodel, "PATCH"),
    _post("/imodels/{imodel_id}/changesets", push_changesets),
    _post("/imodels/{imodel_id}/versions", name_version),
    _post("/imodels/{imodel_id}/versions/{version_id}", change_version, "PATCH"),
    _post("/deliveries", repeat_delivery),
    _post("/outcomes", script_outcomes),
    _post("/meshes", script_meshes),
    _post("/faults", add_fault),
    Route("/sandbox/faults", clear_faults, methods=["DELETE"]),
    _post("/options", set_options, "PATCH"),
    _post("/clock", advance_clock),
    _post("/consents", set_consent),
    _post("/denied", set_denied),
    _post("/tokens/revoke", revoke_tokens),
    _post("/sas", mint_sas),
    _post("/shares", create_share),
]
