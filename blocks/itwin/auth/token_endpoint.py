"""Client of the sign-in service's token endpoint, and the mapping of its errors.

Vendor page: https://developer.bentley.com/apis/overview/authorization/
"""

from collections.abc import Mapping
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from blocks.errors import (
    ConfigurationError,
    ExportError,
    NotAuthorizedError,
    SignInRequiredError,
    TransientError,
    without_secrets,
)
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.transport import Json, Transport, error_from, json_object


class Identity(BaseModel):
    """The client or user for whom tokens are requested, and the issuer."""

    model_config = ConfigDict(frozen=True)

    issuer_url: str
    client_id: str
    authentication_type: Literal["Service", "User"] = "Service"
    client_secret: SecretStr | None = None
    scope: str = "itwin-platform"

    @property
    def key(self) -> tuple[str, str, str]:
        """Issuer, client id and authentication type; equal for the same caller, without secrets."""
        return (self.issuer_url, self.client_id, self.authentication_type)

    @property
    def scopes(self) -> str:
        """The scope to request; for a user with `offline_access`, without which no refresh token is issued."""
        if self.authentication_type == "Service" or "offline_access" in self.scope.split():
            return self.scope
        return f"{self.scope} offline_access"


class InvalidGrantError(SignInRequiredError):
    """The refresh token or code is rejected (`invalid_grant`): it is expired, used or revoked."""


class Endpoints(BaseModel):
    """The endpoint URLs of an issuer."""

    model_config = ConfigDict(frozen=True)

    authorization: str
    token: str


class TokenEndpoint:
    """Requests tokens for one identity; the endpoints are discovered once.

    Args:
        identity: The client or user for whom tokens are requested.
        transport: Sends the requests.
        hosts: The allow list for the discovered endpoints.
    """

    def __init__(self, identity: Identity, transport: Transport, hosts: AllowedHosts) -> None:
        self.identity = identity
        self._transport = transport
        self._hosts = hosts
        self._endpoints: Endpoints | None = None

    async def endpoints(self) -> Endpoints:
        """The issuer's endpoints, discovered on the first call."""
        if self._endpoints is None:
            self._endpoints = await discover(self.identity.issuer_url, self._transport, self._hosts)
        return self._endpoints

    async def request_token(self, form: Mapping[str, str]) -> Json:
        """Request tokens; client id and secret are form fields (https://developer.bentley.com/apis/overview/authorization/).

        Raises:
            InvalidGrantError: The refresh token or code is rejected.
            SignInRequiredError: The client is rejected.
            TransientError: No usable response.
        """
        fields = {**form, "client_id": self.identity.client_id}
        if self.identity.client_secret is not None:
            fields["client_secret"] = self.identity.client_secret.get_secret_value()
        address = (await self.endpoints()).token
        request = httpx.Request("POST", address, data=fields, headers={"Accept": "application/json"})
        response = await self._transport.send(request, what="Sign in")
        if response.is_success:
            return json_object(response, "Sign in")
        raise refusal_from(response, self.identity)


async def discover(issuer_url: str, transport: Transport, hosts: AllowedHosts) -> Endpoints:
    """Read the issuer's discovery document; without a usable one, use the documented endpoint paths."""
    request = httpx.Request("GET", f"{issuer_url}/.well-known/openid-configuration")
    response = await transport.send(request, what="Discover the sign-in service")
    try:
        document = json_object(response, "Discover the sign-in service") if response.is_success else {}
    except TransientError:
        document = {}

    def endpoint(name: str, path: str) -> str:
        return hosts.resolve_for_secret(str(document.get(name) or f"{issuer_url}{path}"), base=issuer_url)

    return Endpoints(
        authorization=endpoint("authorization_endpoint", "/connect/authorize"),
        token=endpoint("token_endpoint", "/connect/token"),
    )


def refusal_from(response: httpx.Response, identity: Identity) -> ExportError:
    """The error for a rejected token request (RFC 6749, section 5.2)."""
    code, description = _oauth_error(response)
    reason = without_secrets(f"{code}: {description}" if description else code).rstrip(".")
    match code:
        case "invalid_client" | "unauthorized_client":
            return SignInRequiredError(
                f"The sign-in service refuses client {identity.client_id} ({reason}). "
                f"Check ITWIN_CLIENT_ID and ITWIN_CLIENT_SECRET, or the credentials block."
            )
        case "invalid_grant":
            return InvalidGrantError(f"The sign-in service no longer accepts the sign-in ({reason}).")
        case "invalid_scope":
            return ConfigurationError(f"The sign-in service refuses the scope “{identity.scopes}”. Check ITWIN_SCOPE.")
        case "":
            return error_from(response, "Sign in")
        case _:
            return NotAuthorizedError(f"The sign-in service refuses client {identity.client_id} ({reason}).")


def _oauth_error(response: httpx.Response) -> tuple[str, str]:
    try:
        body = json_object(response, "Sign in")
    except TransientError:
        return "", ""
    error = body.get("error")
    return (error, str(body.get("error_description") or "")) if isinstance(error, str) else ("", "")
