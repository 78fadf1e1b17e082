import asyncio
from collections.abc import Generator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from time import monotonic

import httpx
import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, Caller, signed_in

PLANT = f"/imodels/{SEEDED.plant}"


@pytest.fixture
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox(options=Options(run_seconds=0.2)) as box:
        yield box


@pytest.fixture
def client(sandbox: RunningSandbox) -> Generator[httpx.Client]:
    """A client on a real socket."""
    with signed_in(sandbox) as client:
        yield client


async def test_fault_hits_the_request_it_was_ordered_for(service: Caller, state: SandboxState) -> None:
    """Method, path, ordinal and count select requests; the others are answered as usual."""
    fault = state.faults.add(Fault(path="/imodels/", method="GET", nth=2, count=2, status=503))
    statuses = [(await service.get(PLANT)).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert fault.hits == 2
    assert (await service.get("/storage/")).status_code == 422


async def test_fault_carries_the_platforms_envelope(service: Caller, state: SandboxState) -> None:
    """A code makes a documented error, as for a lost race between two create-runs."""
    state.faults.add(Fault(path="/runs$", method="POST", status=409, code="ConflictWithAnotherIModelRequest"))
    connection = await service.connect()
    lost = await service.start(connection)
    assert (lost.status_code, lost.json()["error"]["code"]) == (409, "ConflictWithAnotherIModelRequest")
    assert (await service.start(connection)).status_code == 202


async def test_retry_after_has_two_forms(service: Caller, state: SandboxState) -> None:
    """Seconds, or a date by the sandbox's clock, which the Date of every answer follows."""
    state.faults.add(Fault(status=503, retry_after=7))
    state.faults.add(Fault(status=503, retry_after=7, retry_after_form="date"))
    assert (await service.get(PLANT)).headers["Retry-After"] == "7"
    headers = (await service.get(PLANT)).headers
    wait = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert wait == timedelta(seconds=7)


@pytest.mark.parametrize("body", ["<html>gateway</html>", "{", "", '{"code":"X","message":"unwrapped"}'])
async def test_answers_can_be_garbage(service: Caller, state: SandboxState, body: str) -> None:
    """Any body under any status."""
    state.faults.add(Fault(status=502, body=body))
    answer = await service.get(PLANT)
    assert (answer.status_code, answer.text) == (502, body)


async def test_effect_can_outlive_its_answer(service: Caller, state: SandboxState) -> None:
    """After a 500 or a cut after the effect there is a run that no answer named."""
    connection = await service.connect()
    state.faults.add(Fault(path="/runs$", method="POST", status=500, effect=True))
    assert (await service.start(connection)).status_code == 500
    assert len(state.runs_of(SEEDED.plant)) == 1
    state.faults.add(Fault(path="/connections$", method="POST", cut="after"))
    with pytest.raises(httpx.ReadError):
        await service.connect()
    assert len(state.connections) == 2


async def test_cut_before_the_effect_changes_nothing(service: Caller, state: SandboxState) -> None:
    """The request never reached the platform."""
    state.faults.add(Fault(path="/connections$", cut="before"))
    with pytest.raises(httpx.ReadError):
        await service.connect()
    assert state.connections == {}


async def test_slow_answers_are_slow(service: Caller, state: SandboxState) -> None:
    """With a delay alone the answer is the usual one."""
    state.faults.add(Fault(delay=0.2))
    before = monotonic()
    assert (await service.get(PLANT)).status_code == 200
    assert monotonic() - before >= 0.2


async def test_an_effect_can_come_long_before_its_answer(service: Caller, state: SandboxState) -> None:
    """While an answer is held, the request has taken effect."""
    state.faults.add(Fault(path="/connections$", method="POST", status=500, effect=True, hold=0.3))
    asking = asyncio.create_task(service.connect())
    while not state.connections:  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.01)
    assert not asking.done()
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("damage", ["flip", "short", "whole"])
async def test_bytes_can_be_spoiled(anybody: httpx.AsyncClient, state: SandboxState, damage: str) -> None:
    """A flipped bit, a shortened answer with matching headers, an ignored range."""
    state.blobs.put("room", "b", b"0123456789")
    state.faults.add(Fault(damage="flip" if damage == "flip" else "short" if damage == "short" else "whole"))
    answer = await anybody.get(BASE + state.blobs.signed_path("room", "b"), headers={"Range": "bytes=2-5"})
    expected = {
        "flip": (206, b"2355", "bytes 2-5/10"),
        "short": (206, b"23", "bytes 2-3/10"),
        "whole": (200, b"0123456789", None),
    }
    assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == expected[damage]
    assert answer.headers["Content-Length"] == str(len(answer.content))


@pytest.mark.parametrize("cut", ["before", "after", "midway"])
def test_socket_is_really_cut(sandbox: RunningSandbox, client: httpx.Client, cut: str) -> None:
    """On a real connection the client sees it closed, and the next request works."""
    sandbox.state.faults.add(
        Fault(path="/imodels/", cut="before" if cut == "before" else "after" if cut == "after" else "midway")
    )
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get(PLANT)
    assert client.get(PLANT).status_code == 200
    statuses = [entry.status for entry in sandbox.state.log if entry.path == PLANT]
    assert statuses == [200 if cut == "midway" else None, 200]


def test_lost_answer_leaves_a_run(sandbox: RunningSandbox, client: httpx.Client) -> None:
    """Over a socket too: the run is there although the client got no answer."""
    body = {"iModelId": SEEDED.plant, "authenticationType": "Service"}
    connection = client.post("/export/connections", json=body).json()["connection"]["id"]
    sandbox.state.faults.add(Fault(path="/runs$", method="POST", cut="after"))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.post(f"/export/connections/{connection}/runs", json={"exportType": "IFC"})
    assert len(sandbox.state.runs_of(SEEDED.plant)) == 1


async def test_rate_limit_answers_as_documented(service: Caller, state: SandboxState) -> None:
    """429 with whole seconds and the platform's own headers; a minute later requests are answered again."""
    state.options.requests_per_minute = 3
    answers = [await service.get(PLANT) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["ITwinPlatform-RateLimited-Application"] == "sandbox-service"
    assert answers[3].json()["error"]["code"] == "RateLimitExceeded"
    state.clock.advance(int(answers[3].headers["Retry-After"]))
    assert (await service.get(PLANT)).status_code == 200


async def test_a_good_answer_with_another_date(service: Caller, state: SandboxState) -> None:
    """A fault with headers only changes those of the good answer, its Date too."""
    state.faults.add(Fault(headers={"Date": "Thu, 01 Jan 2099 00:00:00 GMT"}))
    changed, usual = await service.get(PLANT), await service.get(PLANT)
    assert changed.content == usual.content
    assert changed.headers["Date"] == "Thu, 01 Jan 2099 00:00:00 GMT"
    assert "2099" not in usual.headers["Date"]
