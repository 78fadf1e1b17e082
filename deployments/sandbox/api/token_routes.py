"""The issuer's token side: grants, revocation, introspection, user information.

https://developer.bentley.com/apis/overview/authorization/
"""

import base64
import binascii
import hmac
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.middleware import identify
from deployments.sandbox.api.responses import JSON, base_url, sandbox_of
from deployments.sandbox.state.identity import IDENTITY, SCOPE, Client
from deployments.sandbox.state.tokens import Grant, challenge_of

OFFLINE = "offline_access"
OPENID = "openid"
KNOWN_SCOPES = {SCOPE, OFFLINE, OPENID, "profile", "email", "organization"}
SERVICE_SCOPES = {SCOPE}


class OAuthError(Exception):
    """An error as RFC 6749 writes it."""

    def __init__(self, code: str, description: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


async def token(request: Request) -> JSONResponse:
    """All grants; tokens are never cached."""
    form = await _form(request)
    try:
        body = _grant(request, form)
    except OAuthError as error:
        return _refusal(error)
    return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def introspection(request: Request) -> JSONResponse:
    """Whether a token is active, for an application that authenticates (RFC 7662)."""
    form = await _form(request)
    try:
        _authenticate(request, form)
    except OAuthError as error:
        return _refusal(error)
    tokens = sandbox_of(request).tokens
    presented = form.get("token", "")
    if claims := tokens.read_claims(presented):
        scope = " ".join(claims.get("scope", []))
        return JSONResponse({**claims, "active": True, "scope": scope, "token_type": "Bearer"})
    if grant := tokens.refresh_tokens.get(presented):
        own = {"sub": grant.subject, "client_id": grant.client_id, "scope": " ".join(grant.scope)}
        return JSONResponse({"active": True, **own})
    return JSONResponse({"active": False})


async def revocation(request: Request) -> Response:
    """RFC 7009: always 200."""
    sandbox_of(request).tokens.revoke((await _form(request)).get("token", ""))
    return Response(status_code=200)


async def userinfo(request: Request) -> JSONResponse:
    """Claims about the user of an access token, as far as its scope goes."""
    caller = identify(sandbox_of(request), request.headers, None)
    return JSONResponse({"sub": caller.subject, **_user_claims(caller)})


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _refusal(error: OAuthError) -> JSONResponse:
    body = {"error": error.code} | ({"error_description": error.description} if error.description else {})
    challenge = {"WWW-Authenticate": "Basic"} if error.status == 401 else {}
    return JSONResponse(body, error.status, headers=challenge)


def _grant(request: Request, form: dict[str, str]) -> JSON:
    kinds = {
        "client_credentials": _client_credentials,
        "authorization_code": _authorization_code,
        "refresh_token": _refresh_token,
    }
    kind = kinds.get(form.get("grant_type", ""))
    if kind is None:
        raise OAuthError("unsupported_grant_type" if form.get("grant_type") else "invalid_request")
    return kind(request, _authenticate(request, form), form)


def _authenticate(request: Request, form: dict[str, str]) -> Client:
    """The application, by HTTP Basic or by the form; native ones by their id alone."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    header = request.headers.get("authorization", "")
    if header.lower().startswith("basic "):
        client_id, secret = _basic(header[6:])
    client = IDENTITY.clients.get(client_id)
    known = client is not None and hmac.compare_digest((client.secret or "").encode(), (secret or "").encode())
    if client is None or not known:
        status = sandbox_of(request).options.invalid_client_status
        raise OAuthError("invalid_client", "Unknown client or wrong secret.", status)
    return client


def _basic(encoded: str) -> tuple[str, str]:
    """Id and secret are form-encoded before they are joined."""
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def _client_credentials(request: Request, client: Client, form: dict[str, str]) -> JSON:
    if client is not IDENTITY.service:
        raise OAuthError("unauthorized_client")
    scopes = tuple(form.get("scope", "").split())
    if not scopes or not set(scopes) <= SERVICE_SCOPES:
        raise OAuthError("invalid_scope")
    return _tokens(request, Grant(client.id, f"{client.id}@apps.imsoidc.bentley.com", scopes))


def _authorization_code(request: Request, client: Client, form: dict[str, str]) -> JSON:
    """Access token, and with the scope for them refresh and id token."""
    state = sandbox_of(request)
    pending = state.tokens.use_code(form.get("code", ""))
    if pending is None or pending.grant.client_id != client.id:
        raise OAuthError("invalid_grant", "Code is expired, used or unknown.")
    if pending.redirect_uri != form.get("redirect_uri"):
        raise OAuthError("invalid_grant", "redirect_uri is not the one of the sign-in.")
    if pending.challenge and challenge_of(form.get("code_verifier", "")) != pending.challenge:
        raise OAuthError("invalid_grant", "code_verifier does not fit.")
    body = _tokens(request, pending.grant)
    if OPENID in pending.grant.scope:
        claims = _user_claims(pending.grant) | ({"nonce": pending.nonce} if pending.nonce else {})
        lifetime = state.options.token_seconds
        body["id_token"] = state.tokens.mint_id_token(
            base_url(request), pending.grant, body["access_token"], claims, lifetime
        )
    return body


def _refresh_token(request: Request, client: Client, form: dict[str, str]) -> JSON:
    state = sandbox_of(request)
    presented = form.get("refresh_token", "")
    grant = state.tokens.refresh_tokens.get(presented)
    if grant is None and state.options.refresh_reuse == "revokes-family":
        state.tokens.revoke_family(presented)
    if (
        grant is None
        or grant.client_id != client.id
        or state.tokens.is_idle(presented, state.options.refresh_idle_seconds)
    ):
        raise OAuthError("invalid_grant", "Refresh token is expired, used or unknown.")
    if not state.options.rotate_refresh_tokens:
        return _tokens(request, grant, presented) | {"refresh_token": presented}
    state.tokens.use_refresh_token(presented)
    return _tokens(request, grant, presented)


def _tokens(request: Request, grant: Grant, predecessor: str | None = None) -> JSON:
    state = sandbox_of(request)
    lifetime = state.options.token_seconds
    body: JSON = {
        "access_token": state.tokens.mint_access_token(base_url(request), grant, lifetime),
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": " ".join(grant.scope),
    }
    state.counters["tokens issued"] += 1
    if OFFLINE in grant.scope:
        body["refresh_token"] = state.tokens.mint_refresh_token(grant, predecessor)
    return body


def _user_claims(grant: Grant) -> JSON:
    """What `profile` and `email` add; for the user only."""
    first, _, last = IDENTITY.user_name.partition(" ")
    known: dict[str, JSON] = {
        "profile": {"name": IDENTITY.user_name, "given_name": first, "family_name": last},
        "email": {"email": IDENTITY.user_email, "email_verified": True},
    }
    asked = [known[scope] for scope in known if scope in grant.scope and grant.subject == IDENTITY.user]
    return {name: value for claims in asked for name, value in claims.items()}


ROUTES = [
    Route("/connect/token", token, methods=["POST"]),
    Route("/connect/introspect", introspection, methods=["POST"]),
    Route("/connect/revocation", revocation, methods=["POST"]),
    Route("/connect/userinfo", userinfo),
]
