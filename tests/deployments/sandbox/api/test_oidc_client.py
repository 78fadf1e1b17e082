"""An OpenID Connect client of a library (Authlib for Starlette) against the issuer, over a real socket."""

from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from authlib.integrations.starlette_client import OAuth
from starlette.requests import Request

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options

CALLBACK = "http://localhost:3113/callback"
SIGNED_OUT = "http://localhost:3113/bye"


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox(options=Options(auto_sign_in=True)) as box:
        yield box


@pytest.fixture
def session() -> dict[str, Any]:
    return {}


def client(sandbox: RunningSandbox, scope: str) -> Any:
    """The web application as the library registers it: it knows nothing but the issuer and its credentials."""
    registry: Any = OAuth()
    return registry.register(
        "itwin",
        client_id=IDENTITY.web.id,
        client_secret=IDENTITY.web.secret,
        server_metadata_url=f"{sandbox.url}/.well-known/openid-configuration",
        client_kwargs={"scope": scope, "code_challenge_method": "S256", "trust_env": False},
    )


def request(session: dict[str, Any], url: str = CALLBACK) -> Request:
    query = urlsplit(url).query.encode()
    return Request({"type": "http", "method": "GET", "query_string": query, "headers": [], "session": session})


async def visited(location: str) -> str:
    """Where the browser is sent next."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        return (await browser.get(location)).headers["Location"]


async def sign_in(library: Any, session: dict[str, Any]) -> Any:
    redirect = await library.authorize_redirect(request(session), CALLBACK)
    returned = await visited(redirect.headers["location"])
    assert returned.startswith(CALLBACK)
    return await library.authorize_access_token(request(session, returned))


async def test_openid_brings_an_id_token_that_validates(sandbox: RunningSandbox, session: dict[str, Any]) -> None:
    """The library checks signature, issuer, audience, nonce, expiry and at_hash, and finds the user."""
    library = client(sandbox, "openid profile email itwin-platform")
    token = await sign_in(library, session)
    user = token["userinfo"]
    assert (user["sub"], user["name"], user["email"]) == (IDENTITY.user, IDENTITY.user_name, IDENTITY.user_email)
    assert user["nonce"]
    asked = await library.userinfo(token=token)
    assert (asked["sub"], asked["email"]) == (user["sub"], user["email"])


async def test_claims_follow_the_scope(sandbox: RunningSandbox, session: dict[str, Any]) -> None:
    """`openid` alone identifies the user and says nothing more; userinfo answers without itwin-platform, too."""
    library = client(sandbox, "openid")
    token = await sign_in(library, session)
    assert "name" not in token["userinfo"]
    assert dict(await library.userinfo(token=token)) == {"sub": IDENTITY.user}


async def test_without_openid_there_is_no_id_token(sandbox: RunningSandbox, session: dict[str, Any]) -> None:
    """Plain OAuth stays plain OAuth."""
    assert "id_token" not in await sign_in(client(sandbox, "itwin-platform"), session)


async def test_library_signs_out(sandbox: RunningSandbox, session: dict[str, Any]) -> None:
    """The end-session endpoint sends the browser back with the state, and the refresh token is worthless."""
    library = client(sandbox, "openid itwin-platform offline_access")
    token = await sign_in(library, session)
    redirect = await library.logout_redirect(request(session), SIGNED_OUT, id_token_hint=token["id_token"])
    returned = await visited(redirect.headers["location"])
    assert returned.startswith(SIGNED_OUT)
    assert (await library.validate_logout_response(request(session, returned)))[
        "post_logout_redirect_uri"
    ] == SIGNED_OUT
    assert token["refresh_token"] not in sandbox.state.tokens.refresh_tokens


async def test_strangers_are_not_redirected(sandbox: RunningSandbox) -> None:
    """Without a good id_token_hint the end-session endpoint shows a page and redirects nowhere."""
    query = {"post_logout_redirect_uri": SIGNED_OUT, "id_token_hint": "forged"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        answer = await browser.get(f"{sandbox.url}/connect/endsession", params=query)
    assert (answer.status_code, "signed out" in answer.text) == (200, True)


async def test_tokens_can_be_introspected(sandbox: RunningSandbox, session: dict[str, Any]) -> None:
    """An application that authenticates learns whether a token is active, and what for; others get 401."""
    token = await sign_in(client(sandbox, "itwin-platform offline_access"), session)
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False, timeout=60) as api:
        credentials = (IDENTITY.web.id, IDENTITY.web.secret or "")

        async def asked(value: str) -> Any:
            return (await api.post("/connect/introspect", data={"token": value}, auth=credentials)).json()

        found = await asked(token["access_token"])
        assert (found["active"], found["sub"]) == (True, IDENTITY.user)
        assert found["scope"] == "itwin-platform offline_access"
        assert (await asked(token["refresh_token"]))["active"] is True
        await api.post("/connect/revocation", data={"token": token["access_token"]})
        assert await asked(token["access_token"]) == await asked("nonsense") == {"active": False}
        stranger = await api.post("/connect/introspect", data={"token": token["access_token"]})
        assert stranger.status_code == 401
