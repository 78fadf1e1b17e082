from collections.abc import Iterator
from typing import cast

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, JSON, Caller

FULL = {"Prefer": "return=representation"}
ABSENT = {"CheckpointNotFound", "NotFound"}
"""What the README declares: there are no checkpoints, and members of an iTwin are not served."""


def links_in(value: object) -> Iterator[str]:
    """Every `href` anywhere in an answer."""
    if isinstance(value, dict):
        members = cast("JSON", value)
        if isinstance(members.get("href"), str):
            yield members["href"]
        for member in members.values():
            yield from links_in(member)
    elif isinstance(value, list):
        for member in cast("list[object]", value):
            yield from links_in(member)


async def test_every_link_leads_somewhere(service: Caller, state: SandboxState) -> None:
    """Whoever follows every link from the lists gets an answer everywhere, or one of the declared 404s."""
    await service.export(outputOptions={"saveLogs": True})
    for number in range(60):
        await service.connect(SEEDED.bridge if number % 2 else SEEDED.plant)
    await service.get(f"/mesh-export?iModelId={SEEDED.plant}")
    state.clock.advance(60)
    waiting = [
        f"{BASE}/itwins",
        f"{BASE}/imodels?iTwinId={SEEDED.itwin}&$top=2",
        f"{BASE}/imodels/{SEEDED.plant}",
        f"{BASE}/storage?iTwinId={SEEDED.itwin}&$top=1",
        f"{BASE}/export/connections?imodelId={SEEDED.plant}&$top=10",
        f"{BASE}/mesh-export?iModelId={SEEDED.plant}",
    ]
    seen: dict[str, str] = {}
    while waiting:
        link = waiting.pop()
        if link in seen or "/sandboxblobs/" in link or "/runs&" in link:
            continue
        answer = await service.get(link, headers=FULL)
        body = answer.json()
        seen[link] = body.get("error", {}).get("code", "") if answer.status_code != 200 else ""
        waiting += links_in(body)
    dead = {link: code for link, code in seen.items() if code and code not in ABSENT}
    assert dead == {}
    missing = {link.split("/")[3] for link, code in seen.items() if code == "NotFound"}
    assert missing == {"accesscontrol"}
    assert len(seen) > 40


async def test_named_version_is_found_by_id(service: Caller, state: SandboxState) -> None:
    """In full, with its changeset, which names it in turn; unknown is 404 and malformed 422."""
    version = state.imodels[SEEDED.plant].named_versions[0]
    root = f"/imodels/{SEEDED.plant}"
    body = (await service.get(f"{root}/namedversions/{version.id}")).json()["namedVersion"]
    assert (body["displayName"], body["state"]) == ("Issued for review", "visible")
    changeset = (await service.get(body["_links"]["changeset"]["href"])).json()["changeset"]
    assert changeset["_links"]["namedVersion"]["href"].endswith(version.id)
    assert changeset["_links"]["self"]["href"].endswith(f"/changesets/{version.changeset_index}")
    unknown = await service.get(f"{root}/namedversions/{SEEDED.bridge}")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NamedVersionNotFound")
    assert (await service.get(f"{root}/namedversions/x")).status_code == 422


async def test_creator_is_a_user(service: Caller) -> None:
    """The creator of a changeset is a user of the iModel; anybody else is 404."""
    changeset = (await service.get(f"/imodels/{SEEDED.plant}/changesets/1")).json()["changeset"]
    user = (await service.get(changeset["_links"]["creator"]["href"])).json()["user"]
    assert (user["id"], user["displayName"]) == (changeset["creatorId"], user["email"])
    unknown = await service.get(f"/imodels/{SEEDED.plant}/users/{SEEDED.plant}")
    assert unknown.json()["error"]["code"] == "UserNotFound"
