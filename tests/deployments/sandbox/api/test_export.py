import asyncio
import re

import pytest

from deployments.sandbox.ids import guid, unpair
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, Caller

OTHER_CONNECTION = guid("nobody's")


async def read_state(service: Caller, location: str) -> str:
    return str((await service.get(location)).json()["run"]["state"])


async def test_connection_id_hides_the_imodel(service: Caller) -> None:
    """43 characters that decode to two GUIDs, the first of which is the iModel's."""
    connection_id = await service.connect()
    ids = unpair(connection_id)
    assert ids is not None
    assert ids[0] == SEEDED.plant
    assert (await service.get(f"/export/connections/{connection_id}/")).json()["connection"]["id"] == connection_id


async def test_connections_come_in_pages(service: Caller, state: SandboxState) -> None:
    """The page size is honoured; the documented links forget the iModel, the correct ones do not."""
    for _ in range(3):
        await service.connect()
    path = f"/export/connections?imodelId={SEEDED.plant}&$top=2"
    page = (await service.get(path)).json()
    assert len(page["connections"]) == 2
    assert "imodelId" not in page["_links"]["next"]["href"]
    assert "prev" not in page["_links"]
    documented = (await service.get(page["_links"]["next"]["href"])).json()
    assert len(documented["connections"]) == 1
    state.options.paging_links = "correct"
    rest = (await service.get((await service.get(path)).json()["_links"]["next"]["href"])).json()
    assert len(rest["connections"]) == 1
    assert "next" not in rest["_links"]


async def test_run_walks_through_its_states(service: Caller, state: SandboxState) -> None:
    """From NotStarted to Completed as time passes."""
    started = await service.start(await service.connect())
    location = started.headers["Location"]
    assert started.status_code == 202
    assert started.content == b""
    assert "Content-Type" not in started.headers
    seen = [await read_state(service, location)]
    for _ in range(30):
        state.clock.advance(state.options.run_seconds / 30)
        seen.append(await read_state(service, location))
    await service.finish(started)
    order = list(dict.fromkeys(seen))
    assert order[:4] == ["NotStarted", "Queued", "Executing", "Finalizing"]


async def test_finished_run_names_its_file(service: Caller) -> None:
    """Run, job and task say Success, and the task leads to the file in Storage."""
    run = await service.export()
    task = run["jobs"][0]["tasks"][0]
    assert {run["result"], run["jobs"][0]["result"], task["result"]} == {"Success"}
    assert (await service.download(task["exportOutputFileId"])).startswith(b"ISO-10303-21;")


async def test_times_have_up_to_seven_digits(service: Caller) -> None:
    """Trailing zeros are dropped, so that parsers meet odd lengths."""
    run = await service.export()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", run["startDateTime"])


@pytest.mark.parametrize("form", ["absolute", "relative"])
async def test_location_has_either_form(service: Caller, state: SandboxState, form: str) -> None:
    """The documents leave it open, so both can be ordered."""
    state.options.run_location = "relative" if form == "relative" else "absolute"
    location = (await service.start(await service.connect())).headers["Location"]
    assert location.startswith(f"{BASE}/export" if form == "absolute" else "/export")


async def test_active_run_holds_the_imodel(service: Caller, state: SandboxState) -> None:
    """A second create-run, even through another connection, is led to the first run and starts nothing."""
    first = await service.start(await service.connect())
    second = await service.start(await service.connect(), ifcVersion="IFC2x3")
    assert (second.status_code, second.headers["Location"]) == (303, first.headers["Location"])
    assert len(state.runs_of(SEEDED.plant)) == 1
    await service.finish(first)
    assert (await service.start(await service.connect())).status_code == 202


async def test_racing_starts_conflict(service: Caller, state: SandboxState) -> None:
    """Of two create-runs at the same time one gets the run and the other 409; afterwards the answer is 303."""
    connection = await service.connect()
    racing = await asyncio.gather(*(service.start(connection) for _ in range(2)))
    assert sorted(answer.status_code for answer in racing) == [202, 409]
    (lost,) = (answer for answer in racing if answer.status_code == 409)
    assert lost.json()["error"]["code"] == "ConflictWithAnotherIModelRequest"
    assert (await service.start(connection)).status_code == 303
    assert len(state.runs_of(SEEDED.plant)) == 1


async def test_other_imodels_are_free(service: Caller) -> None:
    """Runs of different iModels do not meet."""
    await service.start(await service.connect())
    assert (await service.start(await service.connect(SEEDED.bridge))).status_code == 202


async def test_run_list_is_newest_first_and_lacks_the_connection(service: Caller) -> None:
    """As in the published samples."""
    connection = await service.connect()
    runs = [await service.finish(await service.start(connection)) for _ in range(2)]
    page = (await service.get(f"/export/connections/{connection}/runs?$top=1")).json()
    assert page["runs"][0]["id"] == runs[1]["id"]
    assert "connectionId" not in page["runs"][0]
    assert "/runs&$skip=1" in page["_links"]["next"]["href"]
    connected = (await service.get(f"/export/connections/{connection}")).json()["connection"]
    assert connected["_links"]["lastRun"]["href"].endswith(runs[1]["id"])


async def test_connection_in_use_cannot_be_deleted(service: Caller) -> None:
    """409 while a run is active, 204 afterwards, 404 after that."""
    connection = await service.connect()
    path = f"/export/connections/{connection}"
    started = await service.start(connection)
    assert (await service.delete(path)).json()["error"]["code"] == "ConnectionAlreadyInUse"
    await service.finish(started)
    assert (await service.delete(path)).status_code == 204
    assert (await service.delete(path)).json()["error"]["code"] == "ConnectionNotFound"


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"exportType": "LandXML"}, "exportType"),
        ({"exportType": "IFC", "ifcVersion": "IFC5"}, "ifcVersion"),
        ({"exportType": "IFC", "color": "red"}, "color"),
        ({"exportType": "IFC", "inputOptions": {"changeset": "x"}}, "inputOptions.changeset"),
        ({"exportType": "IFC", "inputOptions": {"modelIds": []}}, "inputOptions.modelIds"),
        ({"exportType": "IFC", "inputOptions": {"changesetId": "0" * 40}}, "changesetId"),
        ({"exportType": "IFC", "outputOptions": {"folderId": "nowhere"}}, "folderId"),
        ({"ifcVersion": "IFC4.3"}, "exportType"),
    ],
)
async def test_wrong_run_requests_are_refused(
    service: Caller, state: SandboxState, body: dict[str, object], target: str
) -> None:
    """422 names the member; nothing starts."""
    connection = await service.connect()
    answer = await service.post(f"/export/connections/{connection}/runs", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "InvalidConnectionRunRequest")
    assert target in {detail["target"] for detail in error["details"]}
    assert list(state.runs) == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/export/connections", 422, "InvalidConnectionsRequest"),
        (f"/export/connections?imodelId={SEEDED.plant}&$top=x", 422, "InvalidConnectionsRequest"),
        (f"/export/connections?imodelId={SEEDED.itwin}", 404, "ConnectionNotFound"),
        (f"/export/connections/{OTHER_CONNECTION}", 404, "ConnectionNotFound"),
        ("/export/connections/x", 422, "InvalidExportConnectionRequest"),
        (f"/export/connections/{OTHER_CONNECTION}/runs", 404, "ConnectionNotFound"),
        (f"/export/connections/{OTHER_CONNECTION}/runs/1", 404, "ConnectionRunNotFound"),
    ],
)
async def test_bad_questions_have_documented_answers(service: Caller, path: str, status: int, code: str) -> None:
    """Status and code follow the documents."""
    answer = await service.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "InvalidRequestBody"),
        (b"[]", "InvalidRequestBody"),
        (b"{}", "MissingRequiredProperty"),
        (b'{"iModelId": "x"}', "InvalidValue"),
    ],
)
async def test_wrong_connections_are_refused(service: Caller, body: bytes, detail: str) -> None:
    """The three documented detail codes."""
    answer = await service.post("/export/connections", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["code"] == detail
