"""The issuer: discovery, sign-in, tokens.

https://developer.bentley.com/apis/overview/authorization/
"""

import base64
import binascii
import hmac
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.middleware import identify
from deployments.sandbox.api.pages import page
from deployments.sandbox.api.responses import JSON, base_url, sandbox_of
from deployments.sandbox.state.identity import IDENTITY, SCOPE, Client
from deployments.sandbox.state.tokens import Grant, challenge_of

OFFLINE = "offline_access"
KNOWN_SCOPES = {SCOPE, OFFLINE, "openid", "profile", "email", "organization"}
SERVICE_SCOPES = {SCOPE}
SIGN_IN = "/sandbox/sign-in"
SIGN_IN_ERROR = "/sandbox/sign-in-error"


class OAuthError(Exception):
    """An error as RFC 6749 writes it."""

    def __init__(self, code: str, description: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


async def discovery(request: Request) -> JSONResponse:
    """The OpenID configuration; issuer and API share one origin here."""
    root = base_url(request)
    endpoints = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "revocation_endpoint": "revocation",
    }
    return JSONResponse(
        {
            "issuer": root,
            **{name: f"{root}/connect/{path}" for name, path in endpoints.items()},
            "jwks_uri": f"{root}/.well-known/openid-configuration/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": sorted(KNOWN_SCOPES),
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def jwks(_request: Request) -> JSONResponse:
    """No public keys: access tokens are opaque to everybody but the sandbox."""
    return JSONResponse({"keys": []})


async def authorize(request: Request) -> Response:
    """On to the sign-in page, or back with an error when the request itself is wrong."""
    query = request.query_params
    client = IDENTITY.clients.get(query.get("client_id", ""))
    if client is None or client is IDENTITY.service or "://" not in query.get("redirect_uri", ""):
        return RedirectResponse(base_url(request) + SIGN_IN_ERROR, 302)
    complaint = _complaint(client, query)
    if complaint:
        return _back(query, {"error": complaint})
    if sandbox_of(request).options.auto_sign_in:
        return _signed_in(request, query)
    return RedirectResponse(f"{base_url(request)}{SIGN_IN}?{query}", 302)


async def sign_in_page(request: Request) -> HTMLResponse:
    """Two buttons; whoever clicks the first is the sandbox's user."""
    return page("Sign in to the sandbox", f"Continue as {IDENTITY.user_name}?", str(request.query_params), "Sign in")


async def sign_in(request: Request) -> Response:
    """What the buttons do."""
    query = QueryParams((await request.body()).decode())
    if query.get("answer") != "yes":
        return _back(query, {"error": "access_denied", "error_description": "The user said no."})
    return _signed_in(request, query)


async def sign_in_error(_request: Request) -> HTMLResponse:
    """Where a request ends that must not be sent back."""
    return HTMLResponse("<h1>Unknown application or redirect address</h1>", 400)


async def token(request: Request) -> JSONResponse:
    """All grants; tokens are never cached."""
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body = _grant(request, form)
    except OAuthError as error:
        said = {"error": error.code} | ({"error_description": error.description} if error.description else {})
        challenge = {"WWW-Authenticate": "Basic"} if error.status == 401 else {}
        return JSONResponse(said, error.status, headers=challenge)
    return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def revocation(request: Request) -> Response:
    """RFC 7009: always 200."""
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    sandbox_of(request).tokens.revoke(form.get("token", ""))
    return Response(status_code=200)


async def userinfo(request: Request) -> JSONResponse:
    """Whose token it is."""
    caller = identify(sandbox_of(request), request.headers)
    return JSONResponse({"sub": caller.subject, "name": IDENTITY.user_name})


def _complaint(client: Client, query: QueryParams) -> str | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = set(query.get("scope", "").split())
    if not scopes or not scopes <= KNOWN_SCOPES:
        return "invalid_scope"
    challenged = bool(query.get("code_challenge")) and query.get("code_challenge_method") == "S256"
    return None if challenged or client.secret else "invalid_request"


def _signed_in(request: Request, query: QueryParams) -> Response:
    grant = Grant(query["client_id"], IDENTITY.user, tuple(query["scope"].split()))
    code = sandbox_of(request).tokens.mint_code(grant, query["redirect_uri"], query.get("code_challenge"))
    return _back(query, {"code": code})


def _back(query: QueryParams, answer: dict[str, str]) -> RedirectResponse:
    if "state" in query:
        answer["state"] = query["state"]
    target = query["redirect_uri"]
    joint = "&" if "?" in target else "?"
    return RedirectResponse(f"{target}{joint}{urlencode(answer)}", 302)


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
    pending = sandbox_of(request).tokens.use_code(form.get("code", ""))
    if pending is None or pending.grant.client_id != client.id:
        raise OAuthError("invalid_grant", "Code is expired, used or unknown.")
    if pending.redirect_uri != form.get("redirect_uri"):
        raise OAuthError("invalid_grant", "redirect_uri is not the one of the sign-in.")
    if pending.challenge and challenge_of(form.get("code_verifier", "")) != pending.challenge:
        raise OAuthError("invalid_grant", "code_verifier does not fit.")
    return _tokens(request, pending.grant)


def _refresh_token(request: Request, client: Client, form: dict[str, str]) -> JSON:
    state = sandbox_of(request)
    presented = form.get("refresh_token", "")
    grant = state.tokens.refresh_tokens.get(presented)
    if grant is None or grant.client_id != client.id:
        raise OAuthError("invalid_grant", "Refresh token is expired, used or unknown.")
    if not state.options.rotate_refresh_tokens:
        return _tokens(request, grant) | {"refresh_token": presented}
    state.tokens.use_refresh_token(presented)
    return _tokens(request, grant)


def _tokens(request: Request, grant: Grant) -> JSON:
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
        body["refresh_token"] = state.tokens.mint_refresh_token(grant)
    return body


ROUTES = [
    Route("/.well-known/openid-configuration", discovery),
    Route("/.well-known/openid-configuration/jwks", jwks),
    Route("/connect/authorize", authorize),
    Route("/connect/token", token, methods=["POST"]),
    Route("/connect/revocation", revocation, methods=["POST"]),
    Route("/connect/userinfo", userinfo),
    Route(SIGN_IN, sign_in_page),
    Route(SIGN_IN, sign_in, methods=["POST"]),
    Route(SIGN_IN_ERROR, sign_in_error),
]
