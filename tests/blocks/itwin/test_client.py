"""The API client: tokens, redirects and pages."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from blocks.errors import ConfigurationError, SignInRequiredError, TransientError
from blocks.itwin.client import ApiResponse, ItwinClient, model_from
from blocks.itwin.models import ExportRun
from tests.blocks.itwin.platform import API, FixedToken, Server, answer, client_to

Items = list[dict[str, Any]]


async def call(client: ItwinClient, *redirects: int) -> ApiResponse:
    return await client.call("GET", "/x", what="Look", headers={}, redirects=redirects)


async def test_a_refused_token_is_replaced_once() -> None:
    """After a 401 the request is sent once more with a new token."""
    server = Server([answer(status=401), answer({"a": 1})])
    tokens = FixedToken()
    assert (await call(client_to(server, tokens))).body == {"a": 1}
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer token-0", "Bearer token-1"]


async def test_a_second_refusal_is_an_error() -> None:
    """If the new token is rejected too, there is no third attempt."""
    server = Server([answer(status=401)])
    with pytest.raises(SignInRequiredError):
        await call(client_to(server))
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_unexpected_redirect_is_not_followed(status: int) -> None:
    """A redirect not listed in `redirects` is an error, and no request is sent to its target."""
    server = Server([answer(status=status, Location="/elsewhere")])
    with pytest.raises(TransientError, match="redirect"):
        await call(client_to(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["/runs/1", f"{API}/runs/1", "../runs/1"])
async def test_an_expected_redirect_is_read_and_not_followed(location: str) -> None:
    """A 303 listed in `redirects` is returned with an absolute Location."""
    server = Server([answer(status=303, Location=location)])
    assert await call(client_to(server), 303) == ApiResponse(303, {}, f"{API}/runs/1")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "location",
    ["https://evil.example/x", "https://api.bentley.com@evil.example/x", "//evilbentley.com/x", "http://[", "http:///"],
)
@pytest.mark.parametrize("status", [303, 201])
async def test_a_location_elsewhere_is_refused_before_anything_is_sent(location: str, status: int) -> None:
    """A Location with a host not on the allow list is an error, and only the API receives requests."""
    server = Server([answer({}, status=status, Location=location)])
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        await call(client_to(server), 303)
    assert [request.url.host for request in server.requests] == ["api.bentley.com"]


async def test_the_token_goes_to_the_api_only() -> None:
    """Every request with a bearer token goes to the API's origin, whatever links the responses contain."""
    pages = [
        answer({"items": [{"id": 1}], "_links": {"next": {"href": "https://evil.example/x?$skip=1"}}}),
        answer({"items": []}),
    ]
    server = Server([*pages])
    assert len(await collect(client_to(server))) == 1
    assert {request.url.copy_with(path="/", query=None) for request in server.requests} == {httpx.URL(f"{API}/")}


async def collect(client: ItwinClient, page_size: int = 2, **params: str) -> Items:
    listed = client.items("/x", "items", what="List", page_size=page_size, params=params)
    return await asyncio.wait_for(_gather(listed), timeout=60)


async def _gather(listed: Any) -> Items:
    return [item async for item in listed]


def pages_of(
    total: int, links: Callable[[int], object], cap: int = 100, known: bool = True
) -> Callable[[httpx.Request], httpx.Response]:
    """A server that pages a number of items, with configurable next links."""

    def serve(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params.get("$skip", 0)) if known else 0
        end = skip + min(cap, int(request.url.params["$top"]))
        body: dict[str, object] = {"items": [{"id": number} for number in range(skip, min(end, total))]}
        found = links(skip)
        return answer(body if found is ... else {**body, "_links": found})

    return serve


def jumping(skip: int) -> object:
    return {"next": {"href": f"https://api.bentley.com/x&$skip={skip + 200}"}}


@pytest.mark.parametrize("links", [..., {}, None, [], {"next": None}, jumping])
@pytest.mark.parametrize("total", [0, 1, 2, 4, 5])
async def test_every_item_comes_once_whatever_the_links(links: object, total: int) -> None:
    """With missing, null, wrong or endless next links every item is yielded exactly once."""
    server = Server([pages_of(total, jumping if links is jumping else lambda _: links)])
    assert [item["id"] for item in await collect(client_to(server))] == list(range(total))
    assert len(server.requests) <= total // 2 + 2


async def test_a_server_that_sends_smaller_pages_than_asked_for() -> None:
    """The next page starts after the number of items received, not requested."""
    server = Server([pages_of(7, jumping, cap=3)])
    assert [item["id"] for item in await collect(client_to(server), page_size=5)] == list(range(7))
    assert server.queries("$skip") == [None, "3", "6", "7"]


async def test_a_server_that_ignores_the_position() -> None:
    """A page without new items ends the list."""
    server = Server([pages_of(9, jumping, cap=3, known=False)])
    assert len(await collect(client_to(server))) == 2
    assert len(server.requests) == 2


async def test_an_item_that_moves_to_the_next_page_does_not_end_the_list() -> None:
    """If a new first item shifts the pages, a repeated item is yielded once and the others are still yielded."""
    one, two = {"id": 1}, {"id": 2}
    server = Server(
        [
            answer({"items": [one, two], "_links": {"next": {"href": "x?$skip=2"}}}),
            answer({"items": [two, {"id": 3}], "_links": {}}),
            answer({"items": [{"id": 4}], "_links": {}}),
        ]
    )
    assert [item["id"] for item in await collect(client_to(server))] == [1, 2, 3, 4]


async def test_follows_the_continuation_token() -> None:
    """If the next link has a continuation token, the next request has it together with our own parameters."""
    following = {"next": {"href": "https://api.bentley.com/x?$continuationToken=a%2Fb&other=1"}}
    server = Server([answer({"items": [{"id": 1}], "_links": following}), answer({"items": [], "_links": following})])
    await collect(client_to(server), mine="kept")
    assert server.queries("$continuationToken") == [None, "a/b"]
    assert server.queries("mine") == ["kept", "kept"]
    assert server.queries("other") == [None, None]


@pytest.mark.parametrize("following", ["http://[", "", 7, None, {"href": None}, {"href": "http://["}])
async def test_a_next_link_that_is_none_is_no_trouble(following: object) -> None:
    """After a next link that is not a URL the next page is requested by position."""
    server = Server([pages_of(4, lambda _: {"next": following})])
    assert len(await collect(client_to(server))) == 4


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": {}}, {"other": []}])
async def test_an_answer_without_the_list_is_transient(body: dict[str, object]) -> None:
    """A response without its list is a transient error, not an empty list."""
    with pytest.raises(TransientError, match=r"List: .*“items”"):
        await collect(client_to(Server([answer(body)])))


@pytest.mark.parametrize(("value", "missing"), [(None, "the whole object"), ({}, "id"), ([], "the whole object")])
def test_an_answer_that_is_no_such_model_is_transient(value: object, missing: str) -> None:
    """The message names the request and the missing member."""
    with pytest.raises(TransientError, match=rf"Read it: .* ExportRun \({missing}\)"):
        model_from(ExportRun, value, "Read it")
