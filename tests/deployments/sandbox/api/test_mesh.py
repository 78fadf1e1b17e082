import json
import re
from posixpath import dirname, join
from urllib.parse import unquote

import httpx
import pytest

from deployments.sandbox.state.entities import IModel
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import JSON, Caller

FULL = {"Prefer": "return=representation"}


async def listing(caller: Caller, headers: dict[str, str] | None = None, **query: str) -> list[JSON]:
    params = {"iModelId": SEEDED.plant, **{k.replace("order_by", "$orderBy"): v for k, v in query.items()}}
    answer = await caller.get("/mesh-export/", params=params, headers=FULL if headers is None else headers)
    assert answer.status_code == 200, answer.text
    exports: list[JSON] = answer.json()["exports"]
    return exports


async def complete(caller: Caller, **query: str) -> JSON:
    """The newest export, made and waited for."""
    await listing(caller)
    caller.state.clock.advance(60)
    return (await listing(caller, None, **query))[0]


def plant(state: SandboxState) -> IModel:
    return state.imodels[SEEDED.plant]


async def test_first_look_sets_tiles_in_motion(service: Caller, state: SandboxState) -> None:
    """An empty list first, then one export that comes to be complete in time."""
    assert await listing(service) == []
    seen = [(await listing(service))[0]["status"]]
    for _ in range(4):
        state.clock.advance(1)
        seen.append((await listing(service))[0]["status"])
    assert list(dict.fromkeys(seen)) == ["NotStarted", "InProgress", "Complete"]


async def test_push_starts_new_tiles(service: Caller, state: SandboxState) -> None:
    """The newest changeset comes first although only the older tiles are complete."""
    await complete(service)
    newest = state.push_changeset(SEEDED.plant)
    exports = await listing(service)
    assert [export["status"] for export in exports] == ["NotStarted", "Complete"]
    assert exports[0]["request"]["changesetId"] == newest.id


async def test_sixth_export_drives_out_the_first(service: Caller, state: SandboxState) -> None:
    """Five automatic exports are kept; the tiles of the oldest are gone with it."""
    first = await complete(service)
    for _ in range(5):
        state.push_changeset(SEEDED.plant)
    ids = [export["id"] for export in await listing(service)]
    assert len(ids) == 5
    assert first["id"] not in ids
    assert first["id"] not in state.blobs.containers


async def test_order_follows_the_question(service: Caller, state: SandboxState) -> None:
    """By last change, oldest or newest first; anything else is refused."""
    await complete(service)
    state.push_changeset(SEEDED.plant)
    rising = [export["status"] for export in await listing(service, order_by="date:asc")]
    assert rising == ["Complete", "NotStarted"]
    assert [e["status"] for e in await listing(service, order_by="date:desc")] == rising[::-1]
    refused = await service.get("/mesh-export", params={"$orderBy": "date desc"})
    assert refused.json()["error"]["code"] == "InvalidMeshExportRequest"


async def test_links_need_the_long_form_and_a_complete_export(service: Caller, state: SandboxState) -> None:
    """The short form has neither request nor links; an unfinished export has no link."""
    export = await complete(service)
    assert set((await listing(service, headers={}))[0]) == {"id", "displayName", "status", "lastModified"}
    assert "mesh" in export["_links"]
    state.push_changeset(SEEDED.plant)
    assert "_links" not in (await listing(service))[0]


async def test_list_can_be_narrowed(service: Caller, state: SandboxState) -> None:
    """By changeset and by type in any case; an empty changeset is no filter."""
    export = await complete(service)
    latest = plant(state).changesets[-1].id
    assert [e["id"] for e in await listing(service, changesetId=latest)] == [export["id"]]
    assert [e["id"] for e in await listing(service, exportType="3DTILES", changesetId="")] == [export["id"]]
    assert await listing(service, changesetId=plant(state).changesets[0].id) == []
    assert await listing(service, exportType="IMODEL") == []


async def test_tiles_can_be_started_by_hand(service: Caller, state: SandboxState) -> None:
    """POST makes tiles of any changeset; asking twice does not make them twice."""
    state.options.mesh_generation = "manual"
    old = plant(state).changesets[0].id
    body = {"iModelId": SEEDED.plant, "changesetId": old}
    first = await service.post("/mesh-export", json=body)
    again = await service.post("/mesh-export/", json=body)
    export = first.json()["export"]
    assert (first.status_code, export["status"], export["request"]["changesetId"]) == (202, "NotStarted", old)
    assert again.json()["export"]["id"] == export["id"]
    assert (await service.get(f"/mesh-export/{export['id']}")).json()["export"]["id"] == export["id"]


async def test_imodel_without_changesets_has_tiles_too(service: Caller) -> None:
    """An empty changeset id stands for the baseline."""
    body = {"iModelId": SEEDED.baseline, "changesetId": ""}
    export = (await service.post("/mesh-export", json=body)).json()["export"]
    assert export["request"]["changesetId"] == ""


async def test_generation_can_fail(service: Caller, state: SandboxState) -> None:
    """An invalid export has no tiles, and may be asked for again."""
    state.meshes.script(SEEDED.plant, "Invalid")
    failed = await complete(service)
    assert failed["status"] == "Invalid"
    assert "_links" not in failed
    body = {"iModelId": SEEDED.plant, "changesetId": failed["request"]["changesetId"]}
    assert (await service.post("/mesh-export", json=body)).json()["export"]["id"] != failed["id"]


async def test_only_finished_exports_can_be_deleted(service: Caller, state: SandboxState) -> None:
    """422 while tiles are being made, 204 when they are there, 404 afterwards."""
    await listing(service)
    path = f"/mesh-export/{(await listing(service))[0]['id']}"
    assert (await service.delete(path)).status_code == 422
    state.clock.advance(60)
    assert (await service.delete(path)).status_code == 204
    assert (await service.delete(path)).json()["error"]["code"] == "ExportNotFound"
    assert (await service.delete("/mesh-export/x")).status_code == 422


async def test_service_may_be_warming_up(service: Caller, state: SandboxState) -> None:
    """The first listings can be ordered to answer 202 without a list."""
    state.options.warm_up_listings = 2
    path = f"/mesh-export?iModelId={SEEDED.plant}"
    assert [(await service.get(path)).status_code for _ in range(3)] == [202, 202, 200]


async def test_access_can_be_denied(service: Caller, state: SandboxState) -> None:
    """An iModel the caller may not see, or that is not there, is 403."""
    state.denied.add(SEEDED.plant)
    for key in (SEEDED.plant, SEEDED.itwin):
        assert (await service.get(f"/mesh-export/?iModelId={key}")).status_code == 403
    assert (await service.get("/mesh-export/?iModelId=x")).status_code == 422


async def test_every_tile_can_be_reached(service: Caller, anybody: httpx.AsyncClient) -> None:
    """From the root document through nested ones to each blob the container lists, with one signature."""
    base, _, sas = (await complete(service))["_links"]["mesh"]["href"].partition("?")
    reached, waiting = {"tileset.json"}, ["tileset.json"]
    while waiting:
        name = waiting.pop()
        answer = await anybody.get(f"{base}/{name}?{sas}")
        assert answer.status_code == 200, name
        if name.endswith(".json"):
            found = {join(dirname(name), uri) for uri in re.findall(r'"uri": "([^"]+)"', answer.text)}
            waiting += found - reached
            reached |= found
        else:
            assert answer.content[:4] == b"glTF"
    listed = (await anybody.get(f"{base}?{sas}&restype=container&comp=list")).text
    assert {unquote(name) for name in reached} == set(re.findall(r"<Name>([^<]+)</Name>", listed))
    assert any("%20" in name for name in reached)


async def test_link_lives_an_hour_and_is_renewed(
    service: Caller, anybody: httpx.AsyncClient, state: SandboxState
) -> None:
    """An expired link is 403; reading the export again gives a new one."""
    export = await complete(service)
    base, _, sas = export["_links"]["mesh"]["href"].partition("?")
    state.clock.advance(3599 - 60)
    service.headers["Authorization"] = await fresh_token(anybody)
    assert (await anybody.get(f"{base}/tileset.json?{sas}")).status_code == 200
    state.clock.advance(70)
    assert (await anybody.get(f"{base}/tileset.json?{sas}")).status_code == 403
    again = (await service.get(f"/mesh-export/{export['id']}")).json()["export"]
    base, _, sas = again["_links"]["mesh"]["href"].partition("?")
    assert (await anybody.get(f"{base}/tileset.json?{sas}")).status_code == 200


async def fresh_token(anybody: httpx.AsyncClient) -> str:
    form = {"grant_type": "client_credentials", "scope": "itwin-platform"}
    answer = await anybody.post("/connect/token", data=form, auth=("sandbox-service", "sandbox-secret"))
    return f"Bearer {answer.json()['access_token']}"


async def test_network_links_cannot_be_listed(service: Caller, anybody: httpx.AsyncClient) -> None:
    """With cdn=1 the tiles are there and the list is not."""
    base, _, sas = (await complete(service, cdn="1"))["_links"]["mesh"]["href"].partition("?")
    assert (await anybody.get(f"{base}/tileset.json?{sas}")).status_code == 200
    assert (await anybody.get(f"{base}?{sas}&restype=container&comp=list")).status_code == 403


async def test_unchanged_tiles_keep_their_hash(service: Caller, state: SandboxState) -> None:
    """Most tiles of the next changeset are the same bytes with the same MD5; the root is another."""
    await complete(service)
    state.push_changeset(SEEDED.plant)
    state.clock.advance(60)
    newer, older = (state.blobs.containers[export["id"]] for export in await listing(service))
    same = {name for name in newer if newer[name].content_md5 == older[name].content_md5}
    assert set(newer) == set(older)
    assert len(same) > 0.8 * len(newer)
    assert "tileset.json" not in same
    assert "tiles/0/10.glb" not in same


@pytest.mark.parametrize("name", ["tileset.json", "tiles/0/tileset.json"])
async def test_documents_are_3d_tiles(service: Caller, state: SandboxState, name: str) -> None:
    """Each has version 1.1, volumes, errors that shrink on the way down, and several contents in one node."""
    export = await complete(service)
    document = json.loads(state.blobs.containers[export["id"]][name].read())
    assert document["asset"]["version"] == "1.1"

    def check(tile: JSON, above: float) -> None:
        assert len(tile["boundingVolume"]["box"]) == 12
        assert tile["geometricError"] <= above
        for child in tile.get("children", []):
            check(child, tile["geometricError"])

    check(document["root"], document["geometricError"])
    assert len(document["root"].get("contents", [1, 2])) == 2
