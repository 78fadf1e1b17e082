"""A wait for which the flow run cannot be suspended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.released.wait import ReleasedWait, found_or_released

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

WAIT = ReleasedWait(
    format="ifc",
    imodel_id="5a0a1e27-1118-56f1-9ecc-d3d2572fb00b",
    changeset_id="a" * 40,
    since=datetime.now(UTC),
    deadline=datetime.now(UTC) + timedelta(hours=4),
)

_send = httpx.AsyncClient.send


async def without_answers_about_deployments(
    client: httpx.AsyncClient, request: httpx.Request, **options: Any
) -> httpx.Response:
    """Send a request, or let it time out."""
    if "/deployments/" in request.url.path:
        raise httpx.ReadTimeout("", request=request)
    return await _send(client, request, **options)


async def test_a_server_that_is_away_is_waited_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the Prefect server does not suspend the flow run, its process waits, and ends with what it waited for."""
    monkeypatch.setenv("ITWIN_POLL_MAX_SECONDS", "0.1")
    monkeypatch.setenv("ITWIN_POLL_SECONDS", "0.1")
    monkeypatch.setattr(httpx.AsyncClient, "send", without_answers_about_deployments)
    outcomes: list[ReleasedWait | str] = [WAIT, WAIT, "finished"]

    async def look() -> ReleasedWait | str:
        return outcomes.pop(0)

    @flow(persist_result=False)
    async def waiting() -> ReleasedWait | str:
        return await found_or_released(look)

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert await waiting() == "finished"
    assert caplog.text.count("did not suspend this flow run") == 2
