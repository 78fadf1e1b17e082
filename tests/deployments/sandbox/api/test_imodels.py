import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import JSON, Caller

PLANT = f"/imodels/{SEEDED.plant}"
FULL = {"Prefer": "return=representation"}


async def names(service: Caller, **query: str) -> list[str]:
    answer = await service.get("/imodels/", params={"iTwinId": SEEDED.itwin, **query})
    return [imodel["displayName"] for imodel in answer.json()["iModels"]]


async def indices(service: Caller, query: str) -> list[int]:
    answer = await service.get(f"{PLANT}/changesets?{query}")
    return [changeset["index"] for changeset in answer.json()["changesets"]]


async def test_list_is_minimal_unless_asked(service: Caller) -> None:
    """Without a Prefer header only id and name are told."""
    path = f"/imodels?iTwinId={SEEDED.itwin}"
    short = (await service.get(path)).json()["iModels"][0]
    long = (await service.get(path, headers=FULL)).json()["iModels"][0]
    assert set(short) == {"id", "displayName"}
    assert long["state"] == "initialized"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "Bridge"}, ["Bridge"]),
        ({"state": "notInitialized"}, ["Draft"]),
        ({"$search": "plant"}, ["Plant A"]),
        ({"$orderBy": "name desc", "$top": "2"}, ["Survey", "Stadium"]),
    ],
)
async def test_list_can_be_narrowed(service: Caller, query: dict[str, str], expected: list[str]) -> None:
    """Name, state, search and order work as documented."""
    assert await names(service, **query) == expected


@pytest.mark.parametrize("token", [None, ""])
async def test_pages_lead_through_the_whole_list(service: Caller, state: SandboxState, token: str | None) -> None:
    """Following next from skip or from an empty continuation token meets every iModel once."""
    for number in range(20):
        state.add_imodel(SEEDED.itwin, f"More {number}")
    query = {"iTwinId": SEEDED.itwin, "$top": "7"} | ({} if token is None else {"$continuationToken": token})
    page: JSON = (await service.get("/imodels", params=query)).json()
    found = [m["id"] for m in page["iModels"]]
    assert page["_links"]["prev"] is None
    while page["_links"]["next"]:
        page = (await service.get(page["_links"]["next"]["href"])).json()
        found += [m["id"] for m in page["iModels"]]
    assert sorted(found) == sorted(state.imodels)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("$orderBy=index%20desc&$top=1", [5]),
        ("%24orderBy=index+desc&%24top=1", [5]),
        ("", [1, 2, 3, 4, 5]),
        ("afterIndex=3", [4, 5]),
        ("lastIndex=2&unknown=x", [1, 2]),
    ],
)
async def test_changesets_come_in_order(service: Caller, query: str, expected: list[int]) -> None:
    """Ascending by index unless asked otherwise; blanks and dollar signs arrive in any encoding."""
    assert await indices(service, query) == expected


async def test_changeset_is_found_by_id_and_index(service: Caller, state: SandboxState) -> None:
    """40 digits are an id, fewer an index."""
    latest = state.imodels[SEEDED.plant].changesets[-1]
    for key in (latest.id, "5"):
        body = (await service.get(f"{PLANT}/changesets/{key}")).json()["changeset"]
        assert (body["id"], body["index"]) == (latest.id, 5)
    assert (await service.get(f"{PLANT}/changesets/99")).json()["error"]["code"] == "ChangesetNotFound"
    assert (await service.get(f"{PLANT}/changesets/latest")).status_code == 422


async def test_imodel_without_changesets_is_empty(service: Caller) -> None:
    """A baseline has an empty list and was never pushed to."""
    root = f"/imodels/{SEEDED.baseline}"
    assert (await service.get(f"{root}/changesets")).json()["changesets"] == []
    assert (await service.get(root)).json()["iModel"]["lastChangesetPushDateTime"] is None


async def test_named_versions_point_at_changesets(service: Caller) -> None:
    """The newest version can be asked for first, and names its changeset."""
    path = f"{PLANT}/namedversions?$orderBy=changesetIndex desc&$top=1"
    version = (await service.get(path)).json()["namedVersions"][0]
    assert (version["displayName"], version["changesetIndex"]) == ("Issued for construction", 5)


async def test_a_version_may_name_an_older_changeset(service: Caller, state: SandboxState) -> None:
    """A version of any changeset, or of the baseline, is read by its id with description and link."""
    older = state.name_version(SEEDED.plant, "As tendered", index=3, description="to the client")
    baseline = state.name_version(SEEDED.plant, "Start", index=0)
    third = state.imodels[SEEDED.plant].changesets[2]
    body = (await service.get(f"{PLANT}/namedversions/{older.id}")).json()["namedVersion"]
    assert (body["changesetId"], body["changesetIndex"], body["description"]) == (third.id, 3, "to the client")
    assert (await service.get(body["_links"]["changeset"]["href"])).json()["changeset"]["id"] == third.id
    first = (await service.get(f"{PLANT}/namedversions/{baseline.id}")).json()["namedVersion"]
    assert (first["changesetId"], first["changesetIndex"]) == (None, 0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/imodels", 422, "InvalidiModelsRequest"),
        ("/imodels?iTwinId=x", 422, "InvalidiModelsRequest"),
        (f"/imodels?iTwinId={SEEDED.itwin}&$top=0", 422, "InvalidiModelsRequest"),
        (f"/imodels?iTwinId={SEEDED.itwin}&$top=1001", 422, "InvalidiModelsRequest"),
        (f"/imodels?iTwinId={SEEDED.plant}", 404, "iTwinNotFound"),
        (f"/imodels/{SEEDED.itwin}", 404, "iModelNotFound"),
        ("/imodels/x", 422, "InvalidiModelsRequest"),
        (f"{PLANT}/changesets?$orderBy=name", 422, "InvalidiModelsRequest"),
    ],
)
async def test_bad_questions_have_documented_answers(service: Caller, path: str, status: int, code: str) -> None:
    """Status and code follow the documents."""
    answer = await service.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_access_can_be_denied(service: Caller, state: SandboxState) -> None:
    """A denied iModel answers 403, the others go on."""
    state.denied.add(SEEDED.plant)
    refused = await service.get(PLANT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "InsufficientPermissions")
    assert (await service.get(f"/imodels/{SEEDED.bridge}")).status_code == 200


async def test_every_accept_header_is_fine(service: Caller) -> None:
    """Plain JSON, anything, or the vendor's type; the answer is JSON."""
    for accept in ("application/json", "*/*", "application/vnd.bentley.itwin-platform.v2+json"):
        answer = await service.get(PLANT, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json"
