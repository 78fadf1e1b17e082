import httpx
import pytest
from starlette.applications import Starlette

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, Caller

BROWSER = {"Origin": "http://viewer.test"}
MESHES = f"/mesh-export?iModelId={SEEDED.plant}"


def is_readable(answer: httpx.Response) -> bool:
    return answer.headers.get("Access-Control-Allow-Origin") == "*"


async def test_browser_reads_401_and_429(anybody: httpx.AsyncClient, service: Caller, state: SandboxState) -> None:
    """Answers of the token check and of the rate limit carry CORS headers."""
    refused = await anybody.get(MESHES, headers=BROWSER)
    assert (refused.status_code, is_readable(refused)) == (401, True)
    state.options.requests_per_minute = 1
    await service.get(MESHES)
    limited = await service.get(MESHES, headers=BROWSER)
    assert (limited.status_code, is_readable(limited)) == (429, True)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=403, code="InsufficientPermissions")])
async def test_browser_reads_scripted_answers(service: Caller, state: SandboxState, fault: Fault) -> None:
    """So do the answers of faults."""
    state.faults.add(fault)
    assert is_readable(await service.get(MESHES, headers=BROWSER))


async def test_browser_reads_blob_errors(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """So do the errors of the blob account."""
    answer = await anybody.get(BASE + state.blobs.signed_path("missing", "x"), headers=BROWSER)
    assert (answer.status_code, is_readable(answer)) == (404, True)


async def test_browser_reads_a_crash(app: Starlette, state: SandboxState) -> None:
    """An error inside the sandbox is a readable 500 in the platform's envelope."""
    del state.itwins
    headers = BROWSER | {"Authorization": f"Basic {state.tokens.mint_share_key(SEEDED.itwin)}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        answer = await client.get(f"/imodels?iTwinId={SEEDED.itwin}")
    assert (answer.status_code, is_readable(answer)) == (500, True)
    assert answer.json()["error"]["code"] == "InternalServerError"


async def test_errors_may_lack_cors(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """No page promises CORS headers on errors: an option leaves them out."""
    state.options.cors_on_errors = False
    assert not is_readable(await anybody.get(MESHES, headers=BROWSER))
