from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette

from deployments.sandbox.app import create_app
from deployments.sandbox.clock import Clock
from deployments.sandbox.state.exporter import Exporter
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import seeded_state
from deployments.sandbox.state.tokens import Grant
from tests.deployments.sandbox.caller import BASE, Caller

SERVICE = Grant(IDENTITY.service.id, "sandbox-service@apps.imsoidc.bentley.com", (SCOPE,))
USER = Grant(IDENTITY.native.id, IDENTITY.user, (SCOPE,))


@pytest.fixture
def state() -> SandboxState:
    return seeded_state(Clock(frozen_at=datetime(2026, 3, 2, 8, 15, 4, 120334, tzinfo=UTC)))


@pytest.fixture
def app(state: SandboxState) -> Starlette:
    app = create_app(state)
    # The exporter uploads to this very application: its blob room plays the user's own storage.
    app.state.exporter = Exporter(state, httpx.ASGITransport(app))
    return app


@pytest.fixture
async def anybody(app: Starlette) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


@pytest.fixture
async def service(app: Starlette, state: SandboxState) -> AsyncGenerator[Caller]:
    async with Caller(app, state, SERVICE) as caller:
        yield caller


@pytest.fixture
async def user(app: Starlette, state: SandboxState) -> AsyncGenerator[Caller]:
    async with Caller(app, state, USER) as caller:
        yield caller
