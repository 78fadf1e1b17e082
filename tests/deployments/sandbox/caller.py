from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from deployments.sandbox.state.tokens import Grant

BASE = "http://sandbox.test"
JSON = dict[str, Any]


class Caller(httpx.AsyncClient):
    """Somebody with a token, and the few steps most tests begin with."""

    def __init__(self, app: Starlette, state: SandboxState, grant: Grant) -> None:
        token = state.tokens.mint_access_token(BASE, grant, 3600)
        super().__init__(
            transport=httpx.ASGITransport(app), base_url=BASE, headers={"Authorization": f"Bearer {token}"}
        )
        self.state = state

    async def connect(self, imodel_id: str = SEEDED.plant, kind: str = "Service") -> str:
        body = {"iModelId": imodel_id, "authenticationType": kind, "displayName": "Nightly"}
        answer = await self.post("/export/connections", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["connection"]["id"])

    async def start(self, connection_id: str, **body: Any) -> httpx.Response:
        path = f"/export/connections/{connection_id}/runs"
        return await self.post(path, json={"exportType": "IFC", **body})

    async def export(self, imodel_id: str = SEEDED.plant, **body: Any) -> JSON:
        """The run at its end."""
        started = await self.start(await self.connect(imodel_id), **body)
        assert started.status_code == 202, started.text
        return await self.finish(started)

    async def finish(self, started: httpx.Response) -> JSON:
        self.state.clock.advance(60)
        # The first import of ifcopenshell can outlast one poll.
        run: JSON = {}
        for _ in range(20):
            run = (await self.get(started.headers["Location"])).json()["run"]
            if run["state"] == "Completed":
                return run
        raise AssertionError(run)

    async def download(self, file_id: str) -> bytes:
        link = await self.get(f"/storage/files/{file_id}/download")
        assert link.status_code == 302, link.text
        del self.headers["Authorization"]
        return (await self.get(link.headers["Location"])).content


@contextmanager
def signed_in(box: RunningSandbox) -> Generator[httpx.Client]:
    """A client on a real socket, signed in as the service application."""
    form = {"grant_type": "client_credentials", "scope": "itwin-platform"}
    with httpx.Client(base_url=box.url, trust_env=False, timeout=60) as client:
        answer = client.post("/connect/token", data=form, auth=("sandbox-service", "sandbox-secret"))
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
