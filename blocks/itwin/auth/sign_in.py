"""Sign-in of a user: authorization code with PKCE and a loopback redirect.

Vendor page: https://developer.bentley.com/apis/overview/authorization/native-spa/
"""

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from blocks.errors import ExportError, NotAuthorizedError, SignInRequiredError, without_secrets
from blocks.itwin.auth.redirect_server import CallbackRequest, RedirectServer
from blocks.itwin.auth.token_endpoint import InvalidGrantError, TokenEndpoint

SECRET_BYTES = 48
"""Random bytes of a verifier and of a state: 64 characters, PKCE (RFC 7636) allows 43 to 128."""
AGAIN = "Run itwin-export login again."


@dataclass(frozen=True)
class AuthorizationRequest:
    """The URL a user opens to sign in, with its state and PKCE verifier."""

    url: str
    state: str
    verifier: str

    @classmethod
    def to(cls, endpoint: str, *, client_id: str, scopes: str, redirect_url: str) -> "AuthorizationRequest":
        """Create a request with a new random state and verifier."""
        verifier, state = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": client_id,
                "redirect_uri": redirect_url,
                "scope": scopes,
                "state": state,
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        return cls(f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", state, verifier)


async def sign_in(
    endpoint: TokenEndpoint,
    redirect_url: str,
    *,
    show: Callable[[str], Awaitable[object]],
    keep: Callable[[str], Awaitable[object]],
    timeout_seconds: float,
) -> None:
    """Run the sign-in of a user and store the refresh token.

    Args:
        endpoint: The token endpoint that exchanges the code for tokens.
        redirect_url: The loopback address registered with the application.
        show: Called with the URL that the user opens.
        keep: Called with the refresh token; the browser shows success after it returns.
        timeout_seconds: Maximum wait for the user.

    Raises:
        ConfigurationError: The redirect address cannot be listened on.
        NotAuthorizedError: The user declined or did not sign in in time, or the code was rejected.
    """
    async with RedirectServer(redirect_url) as server:
        authorization = AuthorizationRequest.to(
            (await endpoint.endpoints()).authorization,
            client_id=endpoint.identity.client_id,
            scopes=endpoint.identity.scopes,
            redirect_url=redirect_url,
        )
        await show(authorization.url)
        callback = await server.callback(authorization.state, timeout_seconds)
        try:
            await keep(await _exchange_code(callback, endpoint, authorization, redirect_url))
        except ExportError as error:
            await callback.answer("You are not signed in", str(error))
            raise
        await callback.answer("You are signed in", "You can close this window and go back to the terminal.")


async def _exchange_code(
    callback: CallbackRequest, endpoint: TokenEndpoint, authorization: AuthorizationRequest, redirect_url: str
) -> str:
    """Exchange the code of the callback for a refresh token."""
    if (code := callback.query.get("code")) is None:
        raise _callback_error(callback)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_url,
        "code_verifier": authorization.verifier,
    }
    try:
        answer = await endpoint.request_token(form)
    except InvalidGrantError as error:
        raise SignInRequiredError(f"{error} {AGAIN}") from None
    token = answer.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise NotAuthorizedError(
            f"The sign-in service gave no refresh token for the scope “{endpoint.identity.scopes}”. Allow client "
            f"{endpoint.identity.client_id} the scope offline_access at developer.bentley.com, then sign in again."
        )
    return token


def _callback_error(callback: CallbackRequest) -> NotAuthorizedError:
    code = without_secrets(callback.query.get("error", "no code"))
    description = without_secrets(callback.query.get("error_description", "")).rstrip(".")
    said = f"{code}: {description}" if description else code
    if code == "access_denied":
        return NotAuthorizedError(f"The sign-in was refused in the browser ({said}). {AGAIN}")
    return NotAuthorizedError(
        f"The sign-in service refuses the request ({said}). Check ITWIN_CLIENT_ID, ITWIN_SCOPE and that "
        f"ITWIN_REDIRECT_URL is registered with the application, then sign in again."
    )
