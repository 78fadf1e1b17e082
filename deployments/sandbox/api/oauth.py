"""The issuer's browser side: discovery, sign-in, sign-out.

https://developer.bentley.com/apis/overview/authorization/
"""

from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.pages import page
from deployments.sandbox.api.responses import base_url, sandbox_of
from deployments.sandbox.api.token_routes import KNOWN_SCOPES
from deployments.sandbox.state.identity import IDENTITY, Client
from deployments.sandbox.state.tokens import Grant

SIGN_IN = "/sandbox/sign-in"
SIGN_IN_ERROR = "/sandbox/sign-in-error"
_ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "introspection_endpoint": "introspect",
    "userinfo_endpoint": "userinfo",
    "revocation_endpoint": "revocation",
    "end_session_endpoint": "endsession",
}
_CLAIMS = ("sub", "name", "email", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash")


async def discovery(request: Request) -> JSONResponse:
    """The OpenID configuration; issuer and API share one origin here."""
    root = base_url(request)
    return JSONResponse(
        {
            "issuer": root,
            **{name: f"{root}/connect/{path}" for name, path in _ENDPOINTS.items()},
            "jwks_uri": f"{root}/.well-known/openid-configuration/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "claims_supported": list(_CLAIMS),
            "scopes_supported": sorted(KNOWN_SCOPES),
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def jwks(request: Request) -> JSONResponse:
    """The key of id tokens; access tokens can only be checked by introspection."""
    return JSONResponse(sandbox_of(request).tokens.public_keys())


async def authorize(request: Request) -> Response:
    """On to the sign-in page, or back with an error when the request itself is wrong."""
    query = request.query_params
    client = IDENTITY.clients.get(query.get("client_id", ""))
    if client is None or client is IDENTITY.service or "://" not in query.get("redirect_uri", ""):
        return RedirectResponse(base_url(request) + SIGN_IN_ERROR, 302)
    error = _request_error(client, query)
    if error:
        return _back(query, {"error": error})
    if sandbox_of(request).options.auto_sign_in:
        return _signed_in(request, query)
    return RedirectResponse(f"{base_url(request)}{SIGN_IN}?{query}", 302)


async def sign_in_page(request: Request) -> HTMLResponse:
    """Two buttons; the first signs in as the sandbox's user."""
    return page("Sign in to the sandbox", f"Continue as {IDENTITY.user_name}?", str(request.query_params), "Sign in")


async def sign_in(request: Request) -> Response:
    """Handle the buttons."""
    query = QueryParams((await request.body()).decode())
    if query.get("answer") != "yes":
        return _back(query, {"error": "access_denied", "error_description": "The user said no."})
    return _signed_in(request, query)


async def sign_in_error(_request: Request) -> HTMLResponse:
    """Where a request ends that must not be sent back."""
    return HTMLResponse("<h1>Unknown application or redirect address</h1>", 400)


async def end_session(request: Request) -> Response:
    """Sign the user of the id token out; back to `post_logout_redirect_uri` only with a good `id_token_hint`.

    https://openid.net/specs/openid-connect-rpinitiated-1_0.html
    """
    query = request.query_params
    if request.method == "POST":
        query = QueryParams((await request.body()).decode("utf-8", "replace"))
    tokens = sandbox_of(request).tokens
    claims = tokens.read_id_token(query.get("id_token_hint", ""))
    if claims is None:
        return HTMLResponse("<h1>You are signed out of the sandbox</h1>")
    tokens.revoke_user(claims["sub"])
    target = query.get("post_logout_redirect_uri", "")
    if "://" not in target:
        return HTMLResponse("<h1>You are signed out of the sandbox</h1>")
    return _redirect(target, {"state": query["state"]} if "state" in query else {})


def _request_error(client: Client, query: QueryParams) -> str | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = set(query.get("scope", "").split())
    if not scopes or not scopes <= KNOWN_SCOPES:
        return "invalid_scope"
    challenged = bool(query.get("code_challenge")) and query.get("code_challenge_method") == "S256"
    return None if challenged or client.secret else "invalid_request"


def _signed_in(request: Request, query: QueryParams) -> Response:
    state = sandbox_of(request)
    now = state.clock.now().timestamp()
    grant = Grant(query["client_id"], IDENTITY.user, tuple(query["scope"].split()), signed_in_at=now)
    challenge, nonce = query.get("code_challenge"), query.get("nonce")
    return _back(query, {"code": state.tokens.mint_code(grant, query["redirect_uri"], challenge, nonce)})


def _back(query: QueryParams, answer: dict[str, str]) -> RedirectResponse:
    if "state" in query:
        answer["state"] = query["state"]
    return _redirect(query["redirect_uri"], answer)


def _redirect(target: str, answer: dict[str, str]) -> RedirectResponse:
    joint = "&" if "?" in target else "?"
    return RedirectResponse(f"{target}{joint}{urlencode(answer)}" if answer else target, 302)


ROUTES = [
    Route("/.well-known/openid-configuration", discovery),
    Route("/.well-known/openid-configuration/jwks", jwks),
    Route("/connect/authorize", authorize),
    Route("/connect/endsession", end_session, methods=["GET", "POST"]),
    Route(SIGN_IN, sign_in_page),
    Route(SIGN_IN, sign_in, methods=["POST"]),
    Route(SIGN_IN_ERROR, sign_in_error),
]
