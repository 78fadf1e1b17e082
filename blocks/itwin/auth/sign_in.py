"""Sign-in of a person: authorization code with PKCE, the browser returning to a listener on this machine.

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
"""Of randomness in a verifier and in a state: 64 characters, of the 43 to 128 that PKCE (RFC 7636) allows."""
AGAIN = "Run itwin-export login again."


@dataclass(frozen=True)
class AuthorizationRequest:
    """The link a person opens, and what has to come back."""

    url: str
    state: str
    verifier: str

    @classmethod
    def to(cls, endpoint: str, *, client_id: str, scopes: str, redirect_url: str) -> "AuthorizationRequest":
        """A new one; state and verifier are never used twice."""
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
    """Let a person sign in, and keep the refresh token that comes of it.

    Args:
        endpoint: Where the code is traded for tokens.
        redirect_url: Where the browser returns to, on this machine.
        show: Gets the link to open.
        keep: Gets the refresh token; the browser says "signed in" after that.
        timeout_seconds: Longest wait for the person.

    Raises:
        ConfigurationError: The redirect address cannot be listened on.
        NotAuthorizedError: The person refused, nobody came in time, or the code was refused.
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
            await keep(await _traded(callback, endpoint, authorization, redirect_url))
        except ExportError as error:
            await callback.answer("You are not signed in", str(error))
            raise
        await callback.answer("You are signed in", "You can close this window and go back to the terminal.")


async def _traded(
    callback: CallbackRequest, endpoint: TokenEndpoint, authorization: AuthorizationRequest, redirect_url: str
) -> str:
    """The refresh token for the code that the visit brought."""
    if (code := callback.query.get("code")) is None:
        raise _refusal(callback)
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


def _refusal(callback: CallbackRequest) -> NotAuthorizedError:
    code = without_secrets(callback.query.get("error", "no code"))
    description = without_secrets(callback.query.get("error_description", "")).rstrip(".")
    said = f"{code}: {description}" if description else code
    if code == "access_denied":
        return NotAuthorizedError(f"The sign-in was refused in the browser ({said}). {AGAIN}")
    return NotAuthorizedError(
        f"The sign-in service refuses the request ({said}). Check ITWIN_CLIENT_ID, ITWIN_SCOPE and that "
        f"ITWIN_REDIRECT_URL is registered with the application, then sign in again."
    )
