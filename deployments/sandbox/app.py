"""The sandbox as an ASGI application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.sandbox.api import (
    blob_routes,
    control,
    export_routes,
    imodels_routes,
    mesh_routes,
    oauth,
    storage_routes,
    webhook_routes,
)
from deployments.sandbox.api.middleware import SandboxMiddleware
from deployments.sandbox.api.responses import RefusedError, answer_refusal, envelope
from deployments.sandbox.state.exporter import Exporter
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import seeded_state


def create_app(
    state: SandboxState | None = None, upload_transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """A sandbox over this world, or over the seeded one.

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
            blob_routes.BlobRefusedError: blob_routes.answer_blob_refusal,
            HTTPException: _answer_routing,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox, app.state.exporter = state, exporter
    return app


def _routes(state: SandboxState) -> list[Route]:
    return [
        *oauth.ROUTES,
        *export_routes.ROUTES,
        *storage_routes.ROUTES,
        *imodels_routes.ROUTES,
        *mesh_routes.ROUTES,
        *webhook_routes.ROUTES,
        *control.ROUTES,
        *blob_routes.routes(state.blobs.account),
    ]


def _middleware(state: SandboxState) -> list[Middleware]:
    every = ["*"]
    cors = Middleware(
        CORSMiddleware, allow_origins=every, allow_methods=every, allow_headers=every, expose_headers=every
    )
    return [Middleware(SandboxMiddleware, state=state), cors]


def _answer_routing(_request: Request, error: Exception) -> JSONResponse:
    """404 and 405 of paths and methods nobody documented."""
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse(envelope("NotFound", error.detail), error.status_code, headers=error.headers)
