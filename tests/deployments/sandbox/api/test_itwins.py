import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import Caller

FULL = {"Prefer": "return=representation"}


@pytest.fixture(autouse=True)
def portfolio(state: SandboxState) -> None:
    state.add_itwin("North Site").sub_class = "Asset"
    state.add_itwin("Old Site").status = "Inactive"


async def names(service: Caller, query: str) -> list[str]:
    answer = await service.get(f"/itwins/?{query}")
    assert answer.status_code == 200, answer.text
    return [itwin["displayName"] for itwin in answer.json()["iTwins"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Campus", "North Site"]),
        ("includeInactive=true", ["Campus", "North Site", "Old Site"]),
        ("status=Inactive", ["Old Site"]),
        ("subClass=Asset,Portfolio", ["North Site"]),
        ("$search=site", ["North Site"]),
        ("displayName=Campus", ["Campus"]),
        ("$orderby=displayName", ["Campus", "North Site"]),
        ("$orderby=displayName desc", ["North Site", "Campus"]),
    ],
)
async def test_list_can_be_narrowed(service: Caller, query: str, expected: list[str]) -> None:
    """Inactive ones are hidden unless asked for; filters and order work as documented."""
    assert await names(service, query) == expected


@pytest.mark.parametrize(
    "query", ["subClass=Bridge", "status=Active&includeInactive=true", "$search=a&number=b", "$top=0", "$orderby=x"]
)
async def test_bad_query_is_refused(service: Caller, query: str) -> None:
    """422 InvalidiTwinsRequest."""
    answer = await service.get(f"/itwins?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "InvalidiTwinsRequest")


async def test_list_ends_at_max_return(service: Caller) -> None:
    """Pages lead on by next and end at X-Max-Return, which is echoed."""
    first = (await service.get("/itwins?$top=1")).json()
    rest = (await service.get(first["_links"]["next"]["href"])).json()
    assert [itwin["displayName"] for itwin in rest["iTwins"]] == ["North Site"]
    assert "next" not in rest["_links"]
    cut = await service.get("/itwins?$top=1", headers={"X-Max-Return": "1"})
    assert "next" not in cut.json()["_links"]
    assert cut.headers["X-Max-Return"] == "1"


async def test_long_form_is_asked_for(service: Caller) -> None:
    """Lists are minimal by default, a single iTwin is full by default."""
    short = (await service.get("/itwins")).json()["iTwins"][0]
    assert set(short) == {"id", "class", "subClass", "type", "number", "displayName"}
    assert "status" in (await service.get("/itwins", headers=FULL)).json()["iTwins"][0]
    path = f"/itwins/{SEEDED.itwin}"
    assert "status" in (await service.get(path)).json()["iTwin"]
    assert (await service.get(path, headers={"Prefer": "return=minimal"})).json()["iTwin"] == short


async def test_foreign_itwin_is_not_there(service: Caller, state: SandboxState) -> None:
    """Unknown, malformed or without membership: 404, and absent from the lists."""
    state.denied.add(SEEDED.itwin)
    for key in (SEEDED.itwin, SEEDED.plant, "x"):
        assert (await service.get(f"/itwins/{key}")).json()["error"]["code"] == "iTwinNotFound"
    assert await names(service, "") == ["North Site"]


@pytest.mark.parametrize("path", ["recents", "favorites/"])
async def test_recents_and_favorites_have_the_same_envelope(service: Caller, path: str) -> None:
    """Both are lists of iTwins and no ids."""
    assert (await service.get(f"/itwins/{path}")).json()["iTwins"][0]["id"] == SEEDED.itwin
