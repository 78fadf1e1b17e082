"""Access tokens of a service application."""

import asyncio
import json

import httpx
import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError, ExportError, NotAuthorizedError, SignInRequiredError, TransientError
from blocks.itwin.auth.access_tokens import AccessTokens
from blocks.itwin.auth.token_endpoint import Identity, discover
from blocks.itwin.client import ItwinClient
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from deployments.sandbox.app import create_app
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED, seeded_state
from tests.blocks.itwin.platform import API, HOSTS, ISSUER, FakeTime, Server, answer, transport_to

SECRET = "s3cret"
SERVICE = Identity(issuer_url=ISSUER, client_id="service-1", client_secret=SecretStr(SECRET))
DISCOVERY = "/.well-known/openid-configuration"


def issuer(token: httpx.Response, discovery: httpx.Response | None = None) -> Server:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == DISCOVERY:
            return discovery or answer(status=404)
        return token

    return Server([serve])


def tokens_from(server: Server, clock: FakeTime | None = None) -> AccessTokens:
    return AccessTokens(SERVICE, transport_to(server), HOSTS, clock=clock or FakeTime())


def granted(lifetime: object = 3600) -> httpx.Response:
    return answer({"access_token": "t", "expires_in": lifetime, "token_type": "Bearer"})


async def test_asks_as_documented() -> None:
    """The client authenticates in the form body and requests its scope; the URL contains no secret."""
    server = issuer(granted())
    assert await tokens_from(server).token() == "t"
    request = server.requests[-1]
    assert str(request.url) == f"{ISSUER}/connect/token"
    assert dict(httpx.QueryParams(request.content.decode())) == {
        "grant_type": "client_credentials",
        "scope": "itwin-platform",
        "client_id": "service-1",
        "client_secret": SECRET,
    }


@pytest.mark.parametrize(
    "discovery",
    [answer(status=404), answer(status=500), answer(b"<html>"), answer({}), answer({"token_endpoint": None})],
)
async def test_without_discovery_the_documented_paths_are_taken(discovery: httpx.Response) -> None:
    """With a missing, invalid or empty discovery document the documented endpoint paths are used."""
    server = issuer(granted(), discovery)
    found = await discover(ISSUER, transport_to(server), HOSTS)
    assert found.token == f"{ISSUER}/connect/token"
    assert found.authorization == f"{ISSUER}/connect/authorize"


async def test_discovery_names_the_endpoints() -> None:
    """Endpoints named by the discovery document are used."""
    document = {"token_endpoint": f"{ISSUER}/as/token", "authorization_endpoint": "/as/authorize"}
    found = await discover(ISSUER, transport_to(issuer(granted(), answer(document))), HOSTS)
    assert (found.token, found.authorization) == (f"{ISSUER}/as/token", f"{ISSUER}/as/authorize")


@pytest.mark.parametrize("endpoint", ["https://evil.example/token", "https://ims.bentley.com@evil.example/token"])
async def test_the_secret_never_goes_to_a_stranger(endpoint: str) -> None:
    """A discovery document with a host not on the allow list is an error before the secret is sent."""
    server = issuer(granted(), answer({"token_endpoint": endpoint}))
    with pytest.raises(ConfigurationError, match=r"evil\.example"):
        await tokens_from(server).token()
    assert [request.url.host for request in server.requests] == ["ims.bentley.com"]


@pytest.mark.parametrize(("lifetime", "kept"), [(3600, 3540), ("3600", 3540), (100, 80), (None, 3540), ("soon", 3540)])
async def test_a_token_is_renewed_before_it_expires(lifetime: object, kept: float) -> None:
    """A token is used until a minute (or a fifth of a short lifetime) before it expires, then replaced."""
    clock, server = FakeTime(), issuer(granted(lifetime))
    tokens = tokens_from(server, clock)
    await tokens.token()
    clock.now += kept - 1
    await tokens.token()
    assert len(server.requests) == 2  # discovery and one token
    clock.now += 1
    await tokens.token()
    assert len(server.requests) == 3


async def test_fifty_callers_share_one_request() -> None:
    """Concurrent callers fetch one token, and after its rejection one new token."""
    issued: list[str] = []

    async def serve(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.001)
        if request.method == "GET":
            return answer(status=404)
        issued.append(f"token-{len(issued)}")
        return answer({"access_token": issued[-1], "expires_in": 3600})

    transport = Transport(RequestLimiter(1_000_000), http_transport=httpx.MockTransport(serve))
    tokens = AccessTokens(SERVICE, transport, HOSTS)
    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"token-0"}
    assert set(await asyncio.gather(*(tokens.token(rejected="token-0") for _ in range(50)))) == {"token-1"}
    assert len(issued) == 2


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"error": "invalid_client"}, SignInRequiredError, "ITWIN_CLIENT_SECRET"),
        (400, {"error": "invalid_client", "error_description": "Wrong secret."}, SignInRequiredError, "Wrong secret"),
        (400, {"error": "unauthorized_client"}, SignInRequiredError, "ITWIN_CLIENT_ID"),
        (400, {"error": "invalid_scope"}, ConfigurationError, "ITWIN_SCOPE"),
        (400, {"error": "new_error"}, NotAuthorizedError, "new_error"),
        (503, None, TransientError, "503"),
        (502, b"<html>", TransientError, "502"),
        (200, {}, TransientError, "without an access token"),
        (200, {"access_token": ""}, TransientError, "without an access token"),
        (200, b"<html>", TransientError, "unreadable"),
    ],
)
async def test_a_refusal_says_what_to_correct(status: int, body: object, kind: type[ExportError], said: str) -> None:
    """Each response of the token endpoint is mapped to its error, and no message contains the secret."""
    with pytest.raises(kind, match=said) as caught:
        await tokens_from(issuer(answer(body, status))).token()
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)


async def test_a_failed_sign_in_is_tried_again_by_the_next_caller() -> None:
    """A failed token request is not cached."""
    server = Server([answer(status=404), answer(status=503), granted()])
    tokens = tokens_from(server)
    with pytest.raises(TransientError):
        await tokens.token()
    assert await tokens.token() == "t"


def signed_in(state: SandboxState) -> ItwinClient:
    service = IDENTITY.service
    identity = Identity(issuer_url=ISSUER, client_id=service.id, client_secret=SecretStr(service.secret or ""))
    transport = Transport(RequestLimiter(1_000_000), http_transport=httpx.ASGITransport(create_app(state)))
    return ItwinClient(API, HOSTS, transport, AccessTokens(identity, transport, HOSTS))


async def read_imodel(client: ItwinClient) -> str:
    page = await client.get(f"/imodels/{SEEDED.plant}", what="Read")
    return json.dumps(page)


async def test_revoked_tokens_are_replaced_once_for_everybody() -> None:
    """If all tokens are revoked during many requests, they share one new token."""
    state = seeded_state()
    client = signed_in(state)
    await read_imodel(client)
    state.clock.advance(1)
    state.tokens.revoke_access_tokens()
    found = await asyncio.gather(*(read_imodel(client) for _ in range(20)))
    assert all("Plant A" in text for text in found)
    assert state.counters["tokens issued"] == 2


async def test_a_platform_that_refuses_every_token() -> None:
    """After two 401 responses there is no further attempt, and the message names the next step."""
    state = seeded_state()
    fault = state.faults.add(Fault(path="^/imodels", status=401, code="Unauthorized", count=None))
    with pytest.raises(SignInRequiredError, match=r"Unauthorized.*Check the credentials"):
        await read_imodel(signed_in(state))
    assert fault.hits == 2
