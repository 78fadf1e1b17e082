import base64
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from deployments.sandbox.state.tokens import challenge_of

VERIFIER = "v" * 64
REDIRECT = "http://localhost:3113/callback"
SIGN_IN = {
    "response_type": "code",
    "client_id": IDENTITY.native.id,
    "redirect_uri": REDIRECT,
    "scope": "itwin-platform offline_access",
    "state": "s1",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}
SERVICE_FORM = {
    "grant_type": "client_credentials",
    "scope": "itwin-platform",
    "client_id": IDENTITY.service.id,
    "client_secret": IDENTITY.service.secret,
}


def answer_in(response: httpx.Response) -> dict[str, str]:
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


async def refresh(anybody: httpx.AsyncClient, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "client_id": IDENTITY.native.id, "refresh_token": token}
    return await anybody.post("/connect/token", data=form)


async def code_from_page(anybody: httpx.AsyncClient, answer: str = "yes") -> dict[str, str]:
    page = await anybody.get("/connect/authorize", params=SIGN_IN, follow_redirects=True)
    assert '<button name="answer" value="yes"' in page.text
    clicked = await anybody.post("/sandbox/sign-in", data={**SIGN_IN, "answer": answer})
    assert clicked.headers["Location"].startswith(REDIRECT)
    return answer_in(clicked)


async def exchange(anybody: httpx.AsyncClient, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": IDENTITY.native.id,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    return await anybody.post("/connect/token", data=form | changes)


async def test_discovery_names_the_sandbox_as_issuer(anybody: httpx.AsyncClient) -> None:
    """The issuer is the address the caller used, and every endpoint lies below it."""
    document = (await anybody.get("/.well-known/openid-configuration")).json()
    assert document["issuer"] == "http://sandbox.test"
    assert document["token_endpoint"] == "http://sandbox.test/connect/token"
    keys = (await anybody.get(document["jwks_uri"])).json()["keys"]
    assert [(key["kty"], key["alg"], "d" in key) for key in keys] == [("RSA", "RS256", False)]


@pytest.mark.parametrize("as_basic", [True, False])
async def test_service_signs_in_with_its_secret(anybody: httpx.AsyncClient, as_basic: bool) -> None:
    """The secret may come in the form or as HTTP Basic; there is no refresh token."""
    if as_basic:
        form = {"grant_type": "client_credentials", "scope": "itwin-platform"}
        answer = await anybody.post(
            "/connect/token", data=form, auth=(IDENTITY.service.id, IDENTITY.service.secret or "")
        )
    else:
        answer = await anybody.post("/connect/token", data=SERVICE_FORM)
    body = answer.json()
    assert body["expires_in"] == 3600
    assert "refresh_token" not in body
    assert answer.headers["Cache-Control"] == "no-store"


async def test_access_token_is_readable_as_jwt(anybody: httpx.AsyncClient) -> None:
    """Clients that look inside find three parts, a numeric exp and a scope array."""
    token = (await anybody.post("/connect/token", data=SERVICE_FORM)).json()["access_token"]
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims["exp"], int)
    assert claims["scope"] == ["itwin-platform"]
    assert token.count(".") == 2


@pytest.mark.parametrize("status", [400, 401])
async def test_wrong_secret_is_invalid_client(anybody: httpx.AsyncClient, state: SandboxState, status: int) -> None:
    """The status of invalid_client is what the world's options say."""
    state.options.invalid_client_status = 400 if status == 400 else 401
    answer = await anybody.post("/connect/token", data=SERVICE_FORM | {"client_secret": "wrong"})
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_client")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"client_id": IDENTITY.native.id, "client_secret": ""}, "unauthorized_client"),
    ],
)
async def test_wrong_token_requests_are_named(anybody: httpx.AsyncClient, change: dict[str, str], error: str) -> None:
    """Each mistake has its RFC 6749 code."""
    answer = await anybody.post("/connect/token", data=SERVICE_FORM | change)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_person_signs_in_with_a_click(anybody: httpx.AsyncClient) -> None:
    """Code and state come back, and the code buys an access and a refresh token."""
    answer = await code_from_page(anybody)
    assert answer["state"] == "s1"
    body = (await exchange(anybody, answer["code"])).json()
    assert body["scope"] == "itwin-platform offline_access"
    assert body["refresh_token"]


async def test_person_may_refuse(anybody: httpx.AsyncClient) -> None:
    """The other button sends access_denied and the state back."""
    answer = await code_from_page(anybody, "no")
    assert (answer["error"], answer["state"]) == ("access_denied", "s1")


async def test_sign_in_can_be_automatic(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """With auto_sign_in the authorize endpoint answers with a code at once."""
    state.options.auto_sign_in = True
    answer = answer_in(await anybody.get("/connect/authorize", params=SIGN_IN))
    assert (await exchange(anybody, answer["code"])).status_code == 200


async def test_code_works_once(anybody: httpx.AsyncClient) -> None:
    """A second exchange of the same code is an invalid_grant."""
    code = (await code_from_page(anybody))["code"]
    await exchange(anybody, code)
    assert (await exchange(anybody, code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("change", [{"code_verifier": "other"}, {"redirect_uri": "http://localhost/else"}])
async def test_code_needs_its_verifier_and_address(anybody: httpx.AsyncClient, change: dict[str, str]) -> None:
    """PKCE and the redirect address are checked."""
    code = (await code_from_page(anybody))["code"]
    assert (await exchange(anybody, code, **change)).json()["error"] == "invalid_grant"


async def test_native_application_needs_pkce(anybody: httpx.AsyncClient) -> None:
    """Without a challenge a client that has no secret is sent back."""
    query = {k: v for k, v in SIGN_IN.items() if not k.startswith("code_challenge")}
    assert answer_in(await anybody.get("/connect/authorize", params=query))["error"] == "invalid_request"


async def test_unknown_application_is_not_sent_back(anybody: httpx.AsyncClient) -> None:
    """An unregistered client ends on an error page of the issuer, never at its own address."""
    answer = await anybody.get("/connect/authorize", params=SIGN_IN | {"client_id": "evil"})
    assert answer.headers["Location"] == "http://sandbox.test/sandbox/sign-in-error"


async def test_refresh_token_rotates(anybody: httpx.AsyncClient) -> None:
    """Every refresh brings a successor, and a used token is an invalid_grant."""
    first = (await refresh(anybody, IDENTITY.refresh_token)).json()["refresh_token"]
    assert first != IDENTITY.refresh_token
    assert (await refresh(anybody, IDENTITY.refresh_token)).json()["error"] == "invalid_grant"
    assert (await refresh(anybody, first)).status_code == 200


async def test_refresh_token_may_stay(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """Without rotation the same token comes back and goes on working."""
    state.options.rotate_refresh_tokens = False
    for _ in range(2):
        body = (await refresh(anybody, IDENTITY.refresh_token)).json()
        assert body["refresh_token"] == IDENTITY.refresh_token


async def test_expired_token_is_refused(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """An access token stops working when its time is over."""
    state.options.token_seconds = 60
    token = (await anybody.post("/connect/token", data=SERVICE_FORM)).json()["access_token"]
    anybody.headers["Authorization"] = f"Bearer {token}"
    path = f"/imodels/{SEEDED.plant}"
    assert (await anybody.get(path)).status_code == 200
    state.clock.advance(61)
    refused = await anybody.get(path)
    assert refused.status_code == 401
    assert refused.json()["error"]["details"][0]["code"] == "InvalidToken"


async def test_revoked_token_is_refused(anybody: httpx.AsyncClient) -> None:
    """A revoked access token is as good as none, and userinfo says so too."""
    token = (await anybody.post("/connect/token", data=SERVICE_FORM)).json()["access_token"]
    anybody.headers["Authorization"] = f"Bearer {token}"
    assert (await anybody.get("/connect/userinfo")).json()["sub"].startswith(IDENTITY.service.id)
    await anybody.post("/connect/revocation", data={"token": token})
    assert (await anybody.get("/connect/userinfo")).status_code == 401


@pytest.mark.parametrize("header", [None, "Digest abc"])
async def test_missing_token_is_header_not_found(anybody: httpx.AsyncClient, header: str | None) -> None:
    """Every API answers 401 HeaderNotFound to a request without a bearer token."""
    headers = {"Authorization": header} if header else {}
    for path in ("/imodels/", "/export/connections", "/storage/"):
        answer = await anybody.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "HeaderNotFound")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "a.é.c"])
async def test_forged_token_is_refused(anybody: httpx.AsyncClient, token: str) -> None:
    """A token the issuer did not sign is an InvalidToken."""
    answer = await anybody.get("/imodels", headers=[(b"Authorization", f"Bearer {token}".encode())])
    assert answer.json()["error"]["details"][0]["code"] == "InvalidToken"
