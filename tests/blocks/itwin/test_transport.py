"""The transport's mapping of responses and connection failures to errors."""

import asyncio

import httpx
import pytest

from blocks.errors import (
    ConflictError,
    ExportError,
    NotAuthorizedError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    SignInRequiredError,
    TransientError,
    without_secrets,
)
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport, error_from, json_object
from tests.blocks.itwin.platform import API, FakeTime, Server, answer, transport_to
from tests.blocks.itwin.test_rate_limit import Schedule

SECRET = "c2VjcmV0LXNpZ25hdHVyZQ=="
ROWS = [
    (400, RequestRefusedError, "Correct the input"),
    (401, SignInRequiredError, "itwin-export login"),
    (403, NotAuthorizedError, "administrator"),
    (404, NotFoundError, "Check the id"),
    (405, NotFoundError, "Check the id"),
    (408, TransientError, "Try again later"),
    (409, ConflictError, "try again"),
    (410, NotFoundError, "Check the id"),
    (413, RequestRefusedError, "Correct"),
    (422, RequestRefusedError, "Correct"),
    (425, TransientError, "Try again later"),
    (429, RateLimitedError, "ITWIN_REQUESTS_PER_MINUTE"),
    (500, TransientError, "Try again later"),
    (502, TransientError, "Try again later"),
    (503, TransientError, "Try again later"),
    (301, TransientError, "ITWIN_API_URL"),
]
DETAILS = [{"code": "InvalidValue", "message": "No such view.", "target": "savedViewId"}, {"code": "Other"}, None]
INNER = {"code": "Rejected", "message": "Request rejected.", "details": DETAILS}
BODIES: dict[str, tuple[object, list[str]]] = {
    "wrapped": ({"error": INNER}, ["Rejected", "Request rejected", "InvalidValue savedViewId: No such view"]),
    "unwrapped": (INNER, ["Rejected", "InvalidValue savedViewId"]),
    "without details": ({"error": {"code": "Unauthorized"}}, ["Unauthorized"]),
    "OAuth": ({"error": "invalid_request"}, ["invalid_request"]),
    "null": ({"error": None}, []),
    "a list": ([1, 2], []),
    "empty": (None, []),
    "HTML": (b"<html><h1>Bad gateway</h1></html>", []),
    "binary": (b"\xff\xfe\x00{", []),
}


@pytest.mark.parametrize(("status", "kind", "step"), ROWS)
@pytest.mark.parametrize("body", BODIES)
def test_every_status_is_an_error_of_the_family(status: int, kind: type[ExportError], step: str, body: str) -> None:
    """Each status is mapped to its error; the message has request, status, reason, correlation id and next step."""
    content, said = BODIES[body]
    error = error_from(answer(content, status, x_correlation_id="c0ffee"), "Read iModel 42")
    assert type(error) is kind
    for part in ["Read iModel 42", str(status), step, "correlation id c0ffee", *said]:
        assert part in str(error)
    assert "None" not in str(error)
    assert "<h1>" not in str(error)


def test_without_a_correlation_id_nothing_is_made_up() -> None:
    """An empty answer leaves no empty brackets in the message."""
    assert str(error_from(answer(status=500), "Look")).startswith("Look: the iTwin Platform answered 500. ")


def test_a_rate_limit_names_what_is_limited() -> None:
    """The headers that tell which API and operation are limited are in the message."""
    headers = {"ITwinPlatform-RateLimited-API": "Export", "ITwinPlatform-RateLimited-Operation": "POST"}
    assert "Export POST" in str(error_from(httpx.Response(429, headers=headers), "Start"))


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://acc.blob.core.windows.net/c/b.ifc?sv=1&sig={SECRET} failed",
        f"HTTPS://acc.example/c?sig={SECRET}",
        f"sig={SECRET}&se=2026",
        f"Authorization: Bearer {SECRET}",
        f"basic {SECRET} refused",
        f"refresh_token={SECRET}",
        f"http://localhost:3113/callback#access_token={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountKey={SECRET};",
    ],
)
def test_no_message_holds_a_secret(text: str) -> None:
    """Query strings, signatures, tokens and keys in a response are redacted in the message."""
    assert SECRET not in without_secrets(text)
    assert SECRET not in str(error_from(answer({"error": {"code": "X", "message": text}}, 422), "Start"))


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"text"', b"\xff", b"{"])
def test_an_unreadable_answer_is_transient(body: bytes) -> None:
    """A successful response whose body is not a JSON object is a transient error."""
    with pytest.raises(TransientError, match=r"Look: .* 200 with an unreadable body"):
        json_object(answer(body), "Look")


@pytest.mark.parametrize(("status", "body"), [(204, None), (202, b"<html>"), (303, b"see there"), (202, b"[]")])
def test_where_location_counts_the_body_may_be_anything(status: int, body: bytes | None) -> None:
    """No body, or any body together with a Location, gives an empty object."""
    assert json_object(answer(body, status), "Look") == {}


@pytest.mark.parametrize(("retry", "pause"), [({"Retry_After": "30"}, 30), ({}, 5), ({"Retry_After": "0"}, 5)])
async def test_waits_out_a_rate_limit(retry: dict[str, str], pause: float) -> None:
    """A 429 is waited out for as long as it asks, five seconds if it does not say, and the request sent again."""
    time = FakeTime()
    server = Server([answer(status=429, **retry), answer({})])
    response = await transport_to(server, time).send(httpx.Request("GET", API), what="Look")
    assert response.status_code == 200
    assert len(server.requests) == 2
    assert sum(time.slept) == pytest.approx(pause, abs=0.1)


def paced_by(schedule: Schedule, server: Server) -> Transport:
    limiter = RequestLimiter(6_000, clock=schedule, sleep=schedule.sleep)

    async def answer_later(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)  # requests are on their way at the same time
        return server(request)

    return Transport(limiter, http_transport=httpx.MockTransport(answer_later))


async def test_an_hourly_quota_is_waited_out_once_for_all(caplog: pytest.LogCaptureFixture) -> None:
    """Four requests refused with Retry-After: 900 all go through after one pause, announced once with its end."""
    schedule = Schedule()
    refused = [answer(status=429, Retry_After="900", ITwinPlatform_RateLimited_Tier="Community")] * 4
    server = Server([*refused, answer({})])
    transport = paced_by(schedule, server)
    sent = [asyncio.create_task(transport.send(httpx.Request("GET", API), what="Look")) for _ in range(4)]
    await asyncio.sleep(0.2)  # until all of them have been refused
    await schedule.run_until(899)
    assert len(server.requests) == 4
    await schedule.run_until(905)
    assert [(await one).status_code for one in sent] == [200] * 4
    assert caplog.text.count("asks for a pause of 900 seconds (429, Community); requests go on at ") == 1
    assert "5,000 an hour" in caplog.text


async def test_nothing_is_asked_during_a_pause() -> None:
    """A request that comes while a pause of an hour lasts waits for its end before it is sent."""
    schedule = Schedule()
    server = Server([answer(status=429, Retry_After="3600"), answer({})])
    transport = paced_by(schedule, server)
    first = asyncio.create_task(transport.send(httpx.Request("GET", API), what="Look"))
    await asyncio.sleep(0.2)  # until it has been refused
    await schedule.run_until(1)
    second = asyncio.create_task(transport.send(httpx.Request("GET", API), what="Look later"))
    await schedule.run_until(3599)
    assert len(server.requests) == 1
    await schedule.run_until(3605)
    assert [(await one).status_code for one in (first, second)] == [200, 200]


@pytest.mark.parametrize(("retry", "requests"), [("86401", 1), ("9" * 400, 1), ("1", 6), ("900", 6)])
async def test_gives_up_a_rate_limit_that_is_too_long(retry: str, requests: int) -> None:
    """A pause of more than a day, or the sixth in a row, is an error instead of a wait."""
    server = Server([answer(status=429, Retry_After=retry)])
    with pytest.raises(RateLimitedError):
        await transport_to(server).send(httpx.Request("GET", API), what="Look")
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError(""),
        httpx.RemoteProtocolError(f"bad answer to https://api.bentley.com/x?sig={SECRET}"),
        httpx.ProxyError("502 Bad Gateway"),
    ],
)
async def test_no_answer_is_transient_and_names_the_origin(fault: Exception) -> None:
    """Each network failure is an error with the host and what to check, without path and query."""
    request = httpx.Request("GET", f"https://user:{SECRET}@api.bentley.com:8443/private?sig={SECRET}")
    with pytest.raises(TransientError, match=r"^Look: https://api\.bentley\.com:8443 .*ITWIN_API_URL") as caught:
        await transport_to(Server([fault])).send(request, what="Look")
    assert SECRET not in str(caught.value)
    assert "private" not in str(caught.value)
