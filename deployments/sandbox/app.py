"""The sandbox as an ASGI application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route

from deployments.sandbox.api import (
    blob_routes,
    container_routes,
    control,
    export_routes,
    imodel_link_routes,
    imodels_routes,
    itwins_routes,
    mesh_routes,
    oauth,
    storage_routes,
    storage_write_routes,
    token_routes,
    webhook_routes,
)
from deployments.sandbox.api.blob_access import BlobRefusedError, answer_blob_refusal
from deployments.sandbox.api.cors import SandboxCorsMiddleware
from deployments.sandbox.api.middleware import SandboxMiddleware
from deployments.sandbox.api.responses import RefusedError, answer_refusal, envelope
from deployments.sandbox.state.exporter import Exporter
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import seeded_state


def create_app(
    state: SandboxState | None = None, upload_transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """A sandbox with this state, or with the seeded one.

    The upload transport carries the exporter's PUTs to a user's own blob storage; the network by default.
    """
    state = state or seeded_state()
    exporter = Exporter(state, upload_transport)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        await exporter.close()

    app = Starlette(
        routes=_routes(state),
        middleware=_middleware(state),
        exception_handlers={
            RefusedError: answer_refusal,
            BlobRefusedError: answer_blob_refusal,
            HTTPException: _answer_routing,
            Exception: _answer_crash,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox, app.state.exporter = state, exporter
    return app


def _routes(state: SandboxState) -> list[Route]:
    return [
        *oauth.ROUTES,
        *token_routes.ROUTES,
        *itwins_routes.ROUTES,
        *export_routes.ROUTES,
        *storage_routes.ROUTES,
        *storage_write_routes.ROUTES,
        *imodels_routes.ROUTES,
        *imodel_link_routes.ROUTES,
        *mesh_routes.ROUTES,
        *webhook_routes.ROUTES,
        *control.ROUTES,
        *blob_routes.routes(state.blobs.account),
        *container_routes.routes(state.blobs.account),
    ]


def _middleware(state: SandboxState) -> list[Middleware]:
    """CORS is outermost, so that a browser can read the errors of the other layers too."""
    return [Middleware(SandboxCorsMiddleware, options=state.options), Middleware(SandboxMiddleware, state=state)]


def _answer_routing(request: Request, error: Exception) -> JSONResponse:
    """404 and 405 of paths and methods that are not served."""
    if not isinstance(error, HTTPException):
        raise error
    headers = {"Allow": ", ".join(_methods_of(request))} if error.status_code == 405 else error.headers
    return JSONResponse(envelope("NotFound", error.detail), error.status_code, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Every method that is served at this path, whichever route serves it."""
    app: Starlette = request.app
    serving = [route for route in app.routes if isinstance(route, Route) and _serves(route, request)]
    return sorted({method for route in serving for method in route.methods or ()})


def _serves(route: Route, request: Request) -> bool:
    return route.matches(request.scope)[0] is not Match.NONE


def _answer_crash(_request: Request, _error: Exception) -> JSONResponse:
    """500 in the platform's envelope, readable in a browser; Starlette's outermost layer still raises the error."""
    body = envelope("InternalServerError", "The sandbox failed; its output says why.")
    return JSONResponse(body, 500, headers={"Access-Control-Allow-Origin": "*"})
