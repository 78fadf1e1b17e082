import httpx
import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED


@pytest.fixture
def reader(anybody: httpx.AsyncClient, state: SandboxState) -> httpx.AsyncClient:
    """Somebody with nothing but a share key."""
    anybody.headers["Authorization"] = f"Basic {state.tokens.mint_share_key(SEEDED.itwin)}"
    return anybody


async def test_share_key_opens_imodels_and_meshes(reader: httpx.AsyncClient, state: SandboxState) -> None:
    """A viewer with the key of an iTwin reads its iModels and tilesets."""
    for path in (
        f"/imodels?iTwinId={SEEDED.itwin}",
        f"/imodels/{SEEDED.plant}",
        f"/mesh-export?iModelId={SEEDED.plant}",
    ):
        assert (await reader.get(path)).status_code == 200
    state.clock.advance(60)
    (export,) = (await reader.get("/mesh-export")).json()["exports"]
    assert (await reader.get(f"/mesh-export/{export['id']}")).status_code == 200


@pytest.mark.parametrize("path", ["/itwins", "/export/connections", f"/storage?iTwinId={SEEDED.itwin}"])
async def test_share_key_opens_nothing_else(reader: httpx.AsyncClient, path: str) -> None:
    """Other APIs ask for a bearer token."""
    answer = await reader.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "HeaderNotFound")


async def test_share_key_only_reads(reader: httpx.AsyncClient) -> None:
    """It cannot start or delete an export."""
    assert (await reader.post("/mesh-export", json={"iModelId": SEEDED.plant})).status_code == 401


async def test_share_key_is_for_one_itwin(reader: httpx.AsyncClient, state: SandboxState) -> None:
    """What belongs to another iTwin is 403 and absent from lists."""
    other = state.add_itwin("Other")
    imodel = state.add_imodel(other.id, "Foreign", changesets=1)
    state.meshes.ensure_latest(imodel)
    (export,) = state.meshes.of(imodel.id)
    for path in (f"/imodels/{imodel.id}", f"/imodels?iTwinId={other.id}", f"/mesh-export/{export.id}"):
        assert (await reader.get(path)).status_code == 403
    assert (await reader.get("/mesh-export")).json()["exports"] == []


async def test_bad_share_key_is_named(reader: httpx.AsyncClient, state: SandboxState) -> None:
    """A forged or expired key is 401 InvalidToken."""
    state.clock.advance(3601)
    assert (await reader.get("/imodels")).json()["error"]["details"][0]["code"] == "InvalidToken"
    answer = await reader.get("/imodels", headers={"Authorization": "Basic forged"})
    assert answer.json()["error"]["details"][0]["code"] == "InvalidToken"


async def test_shares_are_limited(anybody: httpx.AsyncClient) -> None:
    """Ten keys at once, each for at most 90 days, made through the control API."""
    assert (await anybody.post("/sandbox/shares", json={"seconds": 91 * 86400})).status_code == 400
    made = [(await anybody.post("/sandbox/shares", json={})).status_code for _ in range(11)]
    assert made == [201] * 10 + [400]
