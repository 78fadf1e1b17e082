"""The sign-in service's token endpoint: who asks, where, and what a refusal means.

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
    """Who asks for tokens, and where."""

    model_config = ConfigDict(frozen=True)

    issuer_url: str
    client_id: str
    authentication_type: Literal["Service", "User"] = "Service"
    client_secret: SecretStr | None = None
    scope: str = "itwin-platform"

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two identities the same caller; holds no secret."""
        return (self.issuer_url, self.client_id, self.authentication_type)

    @property
    def scopes(self) -> str:
        """The scope to ask for; a user's includes `offline_access`, which brings the refresh token."""
        if self.authentication_type == "Service" or "offline_access" in self.scope.split():
            return self.scope
        return f"{self.scope} offline_access"


class InvalidGrantError(SignInRequiredError):
    """The service refuses the refresh token or code itself (`invalid_grant`): expired, used or withdrawn."""


class Endpoints(BaseModel):
    """Where an issuer's endpoints are."""

    model_config = ConfigDict(frozen=True)

    authorization: str
    token: str


class TokenEndpoint:
    """Where one identity asks for tokens; the issuer is asked once where that is."""

    def __init__(self, identity: Identity, transport: Transport, hosts: AllowedHosts) -> None:
        self.identity = identity
        self._transport = transport
        self._hosts = hosts
        self._endpoints: Endpoints | None = None

    async def endpoints(self) -> Endpoints:
        """Where the issuer says its endpoints are."""
        if self._endpoints is None:
            self._endpoints = await discover(self.identity.issuer_url, self._transport, self._hosts)
        return self._endpoints

    async def request_token(self, form: Mapping[str, str]) -> Json:
        """Ask for tokens; the client authenticates in the form, as the vendor documents.

        Raises:
            RefusedGrantError: The refresh token or code is refused.
            SignInRequiredError: The client is refused.
            TransientError: No usable answer.
        """
        asked = {**form, "client_id": self.identity.client_id}
        if self.identity.client_secret is not None:
            asked["client_secret"] = self.identity.client_secret.get_secret_value()
        address = (await self.endpoints()).token
        request = httpx.Request("POST", address, data=asked, headers={"Accept": "application/json"})
        response = await self._transport.send(request, what="Sign in")
        if response.is_success:
            return json_object(response, "Sign in")
        raise refusal_from(response, self.identity)


async def discover(issuer_url: str, transport: Transport, hosts: AllowedHosts) -> Endpoints:
    """Read the issuer's discovery document; without a usable one, the documented paths are taken."""
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
    """The error that fits a refusal of the token endpoint (RFC 6749, section 5.2)."""
    code, description = _oauth_error(response)
    said = without_secrets(f"{code}: {description}" if description else code).rstrip(".")
    match code:
        case "invalid_client" | "unauthorized_client":
            return SignInRequiredError(
                f"The sign-in service refuses client {identity.client_id} ({said}). "
                f"Check ITWIN_CLIENT_ID and ITWIN_CLIENT_SECRET, or the credentials block."
            )
        case "invalid_grant":
            return InvalidGrantError(f"The sign-in service no longer accepts the sign-in ({said}).")
        case "invalid_scope":
            return ConfigurationError(f"The sign-in service refuses the scope “{identity.scopes}”. Check ITWIN_SCOPE.")
        case "":
            return error_from(response, "Sign in")
        case _:
            return NotAuthorizedError(f"The sign-in service refuses client {identity.client_id} ({said}).")


def _oauth_error(response: httpx.Response) -> tuple[str, str]:
    try:
        body = json_object(response, "Sign in")
    except TransientError:
        return "", ""
    error = body.get("error")
    return (error, str(body.get("error_description") or "")) if isinstance(error, str) else ("", "")
