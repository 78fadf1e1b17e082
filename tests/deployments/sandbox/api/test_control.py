import httpx
import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import Caller


async def test_state_counts_runs_and_polls(service: Caller, anybody: httpx.AsyncClient) -> None:
    """A test in another process can tell how many runs there were and how often they were looked at."""
    run = await service.export()
    state = (await anybody.get("/sandbox/state")).json()
    assert state["counters"] == {"connections created": 1, "runs created": 1}
    assert [(r["id"], r["imodelId"], r["state"]) for r in state["runs"]] == [(run["id"], SEEDED.plant, "Completed")]
    assert state["runs"][0]["polls"] >= 1
    assert state["runsByImodel"] == {SEEDED.plant: 1}
    assert [file["name"] for file in state["files"]] == ["Plant A.ifc"]


async def test_request_log_holds_no_secrets(service: Caller, anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """Method, path, status and whose token; never a token or a signature."""
    state.blobs.put("room", "b", b"x")
    await service.get(state.blobs.signed_path("room", "b"))
    await service.get("/imodels")
    body = (await anybody.get("/sandbox/requests")).json()["requests"]
    assert [(e["method"], e["status"], e["had_token"], e["client_id"]) for e in body] == [
        ("GET", 200, True, None),
        ("GET", 422, True, "sandbox-service"),
    ]
    assert "sig=REDACTED" in body[0]["query"]
    assert "Bearer" not in str(body)
    later = await anybody.get("/sandbox/requests", params={"after": body[0]["number"]})
    assert len(later.json()["requests"]) == 1


async def test_thousands_of_imodels_can_be_added(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """One request fills an iTwin."""
    body = {"name": "House", "count": 3000, "changesets": 1}
    made = (await anybody.post("/sandbox/imodels", json=body)).json()["imodels"]
    assert (len(made), made[0]["name"]) == (3000, "House 0001")
    assert len(state.imodels) == 3005


async def test_history_can_grow(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """New changesets rise, with gaps if asked for."""
    path = f"/sandbox/imodels/{SEEDED.bridge}/changesets"
    made = (await anybody.post(path, json={"count": 2, "gap": 3})).json()["changesets"]
    assert [changeset["index"] for changeset in made] == [5, 9]
    latest = state.imodels[SEEDED.bridge].latest
    assert latest is not None
    assert latest.parent_id == made[0]["id"]


async def test_outcomes_and_options_can_be_set(service: Caller, anybody: httpx.AsyncClient) -> None:
    """What Python can script, HTTP can too."""
    script = {"imodelId": SEEDED.plant, "outcomes": [{"result": "Skipped"}]}
    assert (await anybody.post("/sandbox/outcomes", json=script)).status_code == 201
    await anybody.patch("/sandbox/options", json={"run_location": "relative"})
    started = await service.start(await service.connect())
    assert started.headers["Location"].startswith("/export")
    assert (await service.finish(started))["result"] == "Skipped"


async def test_time_can_pass(service: Caller, anybody: httpx.AsyncClient) -> None:
    """Advancing the clock finishes a run and ages tokens."""
    await anybody.patch(f"/sandbox/imodels/{SEEDED.plant}", json={"run_seconds": 1000})
    started = await service.start(await service.connect())
    await anybody.post("/sandbox/clock", json={"seconds": 500})
    assert (await service.get(started.headers["Location"])).json()["run"]["state"] == "Executing"
    await anybody.post("/sandbox/clock", json={"seconds": 4000})
    assert (await service.get(started.headers["Location"])).status_code == 401


async def test_faults_can_be_ordered_and_canceled(service: Caller, anybody: httpx.AsyncClient) -> None:
    """Faults go by their Python names."""
    await anybody.post("/sandbox/faults", json={"path": "/imodels", "status": 500, "count": None})
    assert (await service.get("/imodels")).status_code == 500
    assert (await anybody.get("/sandbox/state")).json()["faults"][0]["hits"] == 1
    await anybody.delete("/sandbox/faults")
    assert (await service.get("/imodels")).status_code == 422


async def test_consent_and_access_can_be_switched(
    service: Caller, anybody: httpx.AsyncClient, state: SandboxState
) -> None:
    """Consents, denials and revoked tokens."""
    await anybody.post("/sandbox/consents", json={"user": "ada"})
    assert state.consents == {"ada"}
    await anybody.post("/sandbox/consents", json={"user": "ada", "granted": False})
    assert state.consents == set()
    await anybody.post("/sandbox/denied", json={"id": SEEDED.plant})
    assert (await service.get(f"/imodels/{SEEDED.plant}")).status_code == 403
    state.clock.advance(1)
    await anybody.post("/sandbox/tokens/revoke")
    assert (await service.get(f"/imodels/{SEEDED.bridge}")).status_code == 401


async def test_links_to_the_blob_account_can_be_minted(anybody: httpx.AsyncClient) -> None:
    """A demo in another process can have a blob to export to."""
    body = {"container": "mine", "blob": "x.ifc", "permissions": "rcw"}
    url = (await anybody.post("/sandbox/sas", json=body)).json()["url"]
    await anybody.put(url, content=b"x", headers={"x-ms-blob-type": "BlockBlob"})
    assert (await anybody.get(url)).content == b"x"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/faults", {"pathh": "x"}),
        ("/sandbox/outcomes", {"imodelId": "x"}),
        ("/sandbox/imodels/unknown/changesets", {}),
        ("/sandbox/clock", [1]),
    ],
)
async def test_mistakes_are_named(anybody: httpx.AsyncClient, path: str, body: object) -> None:
    """A wrong request is refused with the reason."""
    answer = await anybody.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_browsers_may_ask_from_anywhere(anybody: httpx.AsyncClient, service: Caller) -> None:
    """A preflight needs no token and allows the request that follows."""
    headers = {
        "Origin": "http://viewer.test",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,prefer",
    }
    preflight = await anybody.options("/imodels/", headers=headers)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    answer = await service.get("/imodels/", headers={"Origin": "http://viewer.test"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_unknown_paths_have_the_envelope_too(anybody: httpx.AsyncClient) -> None:
    """404 and 405 in the platform's form."""
    assert (await anybody.get("/nowhere")).json()["error"]["code"] == "NotFound"
    assert (await anybody.delete("/connect/token")).status_code == 405


async def test_allow_names_every_method_of_a_path(service: Caller) -> None:
    """405 lists the methods of all routes of the path (RFC 9110, 10.2.1)."""
    answer = await service.patch("/export/connections")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
