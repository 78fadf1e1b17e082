"""The `iTwin Credentials` block: the identity that calls the platform, and its API clients."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self

from prefect.blocks.abstract import CredentialsBlock
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger
from prefect.settings import get_current_settings
from pydantic import Field, SecretStr, field_validator, model_validator

from blocks.errors import ConfigurationError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.apis import ItwinApis, apis_of
from blocks.itwin.auth.access_tokens import AccessTokens, RefreshTokens, TokenCache
from blocks.itwin.auth.token_endpoint import Identity, TokenEndpoint
from blocks.itwin.auth.token_file import EnvironmentTokens, TokenFile
from blocks.itwin.client import ItwinClient
from blocks.itwin.rate_limit import HOUR_SECONDS, burst_of
from blocks.itwin.shared_clients import SHARED_CLIENTS, OpenClient, caller_key
from blocks.itwin.transport import Transport
from blocks.known_secrets import remember_secret
from blocks.prefect_server.block_token_store import BlockTokens
from blocks.prefect_server.rate_limit import SharedRateLimiter
from blocks.setting_text import allowed_host, platform_address, unquoted, unquoted_value
from blocks.settings import AuthenticationType, Settings, read_settings, revealed
from blocks.urls import host_of


class ItwinCredentials(CredentialsBlock):
    """Credentials for the iTwin Platform: a service application, or a user who has signed in.

    Example:
        Load saved credentials and read an iModel:
        ```python
        from blocks.itwin.credentials import ItwinCredentials

        credentials = ItwinCredentials.load("BLOCK_NAME")
        async with credentials.get_client() as itwin:
            imodel = await itwin.imodels.get_imodel("5e19bee0-3aea-4355-a9f0-c6df9989ee7d")
        ```
    """

    _block_type_name: ClassVar[str | None] = "iTwin Credentials"
    _block_type_slug: ClassVar[str | None] = "itwin-credentials"
    _description: ClassVar[str | None] = (
        "Credentials for the iTwin Platform: a service application (client id and secret) or a user who has signed in."
    )
    _documentation_url: ClassVar[Any] = "https://developer.bentley.com/apis/overview/authorization/"
    _logo_url: ClassVar[Any] = "https://developer.bentley.com/favicon.ico"

    authentication_type: AuthenticationType = Field(
        default="Service",
        title="Authentication type",
        description="Service: a service application with its own secret. User: a user who has signed in.",
    )
    client_id: str = Field(
        title="Client id", min_length=1, description="Client id of the application registered at developer.bentley.com."
    )
    client_secret: SecretStr | None = Field(
        default=None,
        title="Client secret",
        description="Secret of the application; native applications of a user have none.",
    )
    refresh_token: SecretStr | None = Field(
        default=None,
        title="Refresh token",
        description="Only for a user; “itwin-export login” obtains it and stores it here.",
    )
    scope: str = Field(
        default="itwin-platform",
        title="Scope",
        description="Scopes to request, separated by blanks; offline_access is added for a user.",
    )
    api_url: str = Field(
        default="https://api.bentley.com", title="API address", description="Root address of the iTwin Platform."
    )
    issuer_url: str = Field(
        default="https://ims.bentley.com",
        title="Issuer address",
        description="Address of the sign-in service; its discovery document names the endpoints.",
    )
    redirect_url: str = Field(
        default="http://localhost:3113/callback",
        title="Redirect address",
        description="Where the browser returns after sign-in and consent; registered with the application.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        title="Further allowed hosts",
        description="Hosts besides the platform's own that links returned by the platform may lead to.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: object) -> object:
        return unquoted_value(value)

    @field_validator("api_url", "issuer_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return platform_address(url)

    @field_validator("allowed_hosts")
    @classmethod
    def _can_match(cls, hosts: list[str]) -> list[str]:
        return [allowed_host(host) for host in hosts if unquoted(host)]

    @model_validator(mode="after")
    def _service_has_a_secret(self) -> Self:
        if self.authentication_type == "Service" and self.client_secret is None:
            raise ValueError("a Service needs a client secret (ITWIN_CLIENT_SECRET)")
        for secret in (self.client_secret, self.refresh_token):
            remember_secret(revealed(secret))
        return self

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Create the block from environment variables.

        Raises:
            ConfigurationError: A variable is missing.
        """
        if not settings.client_id:
            raise ConfigurationError("ITWIN_CLIENT_ID is not set. Set it, or save an iTwin Credentials block.")
        if settings.authentication_type == "Service" and settings.client_secret is None:
            raise ConfigurationError(
                "ITWIN_CLIENT_SECRET is not set, and a Service cannot sign in without it. "
                "Set it, or set ITWIN_AUTHENTICATION_TYPE=User."
            )
        names = cls.model_fields.keys() & Settings.model_fields.keys()
        return cls.model_validate({name: getattr(settings, name) for name in names})

    @property
    def identity(self) -> Identity:
        """The identity for which tokens are requested."""
        return Identity(
            issuer_url=self.issuer_url.rstrip("/"),
            client_id=self.client_id,
            authentication_type=self.authentication_type,
            client_secret=self.client_secret,
            scope=self.scope,
        )

    @property
    def hosts(self) -> AllowedHosts:
        """The allow list of hosts for links that the platform returns."""
        return AllowedHosts(self.api_url, self.issuer_url, tuple(self.allowed_hosts))

    @property
    def api_host(self) -> str:
        """Host of the API; identifies the platform in keys and manifests."""
        return host_of(self.api_url)

    @asynccontextmanager
    async def get_client(self) -> AsyncGenerator[ItwinApis]:
        """The API clients, authenticated on first use; open clients of one caller share connections and tokens."""
        async with SHARED_CLIENTS.opened(self._caller, self._open_client) as apis:
            yield apis

    @asynccontextmanager
    async def get_token_endpoint(self) -> AsyncGenerator[TokenEndpoint]:
        """The token endpoint, with an HTTP transport of its own that is closed at the end."""
        transport = self.transport()
        try:
            yield TokenEndpoint(self.identity, transport, self.hosts)
        finally:
            await transport.aclose()

    def transport(self) -> Transport:
        """A new HTTP transport, rate-limited together with this process or with all that share a Prefect server."""
        settings = read_settings()
        local_limiter = SHARED_CLIENTS.limiter(self.api_url, settings.requests_per_minute, settings.requests_per_hour)
        if not (settings.share_requests and get_current_settings().api.url):
            return Transport(local_limiter)
        name = f"itwin-export-requests-{self.api_host}"
        minute = SharedRateLimiter(
            name, settings.requests_per_minute, burst_of(settings.requests_per_minute), local_limiter
        )
        hourly = settings.requests_per_hour
        if hourly is None:
            return Transport(minute)
        name = f"itwin-export-requests-per-hour-{self.api_host}"
        return Transport(SharedRateLimiter(name, hourly, burst_of(hourly), minute, window_seconds=HOUR_SECONDS))

    @property
    def block_tokens(self) -> BlockTokens | None:
        """The refresh token in the saved block document; None if this block was not loaded from one."""
        if self._block_document_id is None:
            return None
        file = _token_file("block", self._block_document_id.hex)
        return BlockTokens(self._block_document_id, self._block_document_name or "default", file)

    @property
    def refresh_tokens(self) -> RefreshTokens | None:
        """The store of the newest refresh token: the saved block, or the environment and a private file."""
        if (in_block := self.block_tokens) is not None:
            return in_block
        if self.refresh_token is None:
            return None
        return EnvironmentTokens(self.refresh_token, _token_file(self.issuer_url, self.client_id), _log_warning)

    def _open_client(self, cache: TokenCache) -> OpenClient:
        transport = self.transport()
        tokens = AccessTokens(self.identity, transport, self.hosts, self.refresh_tokens, cache=cache)
        return OpenClient(apis_of(ItwinClient(self.api_url, self.hosts, transport, tokens)), transport)

    @property
    def _caller(self) -> str:
        signed_in = self._block_document_id.hex if self._block_document_id else revealed(self.refresh_token)
        return caller_key(self.api_url, self.identity, signed_in)


def _token_file(*owner: str) -> TokenFile:
    return TokenFile(get_current_settings().home / "itwin-export", *owner)


def _log_warning(sentence: str) -> None:
    """Log a warning to the Prefect run's logger, or outside a run to the process's logger."""
    log: logging.Logger | logging.LoggerAdapter[Any]
    try:
        log = get_run_logger()
    except MissingContextError:
        log = get_logger("itwin")
    log.warning(sentence)
