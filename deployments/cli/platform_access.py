"""The platform for a command that only reads: without Prefect where Prefect has no say in the credentials."""

import os
import sqlite3
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.apis import ItwinApis, apis_of
from blocks.itwin.auth.access_tokens import AccessTokens, TokenCache
from blocks.itwin.auth.saved_token import SavedToken
from blocks.itwin.auth.token_endpoint import Identity
from blocks.itwin.client import ItwinClient
from blocks.itwin.shared_clients import SHARED_CLIENTS, OpenClient, caller_key
from blocks.itwin.transport import Transport
from blocks.settings import Settings, read_settings, revealed
from blocks.shared_folder import read_bounded
from deployments.cli.prefect_settings import import_prefect, prefect_home
from deployments.stop_signals import stop_signals

Result = TypeVar("Result")

_LONGEST_FILE = 1024 * 1024

_NAMES_A_SERVER = frozenset(
    {
        "PREFECT_API_URL",
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    }
)
"""Variables that may lead to a Prefect server, or to a database with saved blocks, which only Prefect can read."""
_SAVED_BLOCK = """
    SELECT 1 FROM block_document JOIN block_type ON block_type.id = block_document.block_type_id
    WHERE block_type.slug IN ('itwin-credentials', 'user-blob-storage', 'export-destination')
    AND block_document.name = 'default'
"""


def with_platform(credentials: str, work: Callable[[ItwinApis], Awaitable[Result]]) -> Result:
    """The result of reading from the platform with these credentials.

    Raises:
        ExportError: The credentials or the request are refused.
    """
    settings = read_settings()
    if is_decided_without_prefect(credentials) and is_service(settings):
        return stop_signals.run(_read(settings, work))
    import_prefect()
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect

    return run_with_server(_read_as(credentials, work))


async def _read(settings: Settings, work: Callable[[ItwinApis], Awaitable[Result]]) -> Result:
    async with service_apis(settings) as apis:
        return await work(apis)


async def _read_as(credentials: str, work: Callable[[ItwinApis], Awaitable[Result]]) -> Result:
    from tasks.load_blocks import load_credentials  # noqa: PLC0415  imports Prefect

    async with (await load_credentials(credentials)).get_client() as apis:
        return await work(apis)


@asynccontextmanager
async def service_apis(settings: Settings) -> AsyncGenerator[ItwinApis]:
    """The API clients of the service application of the environment.

    Its token serves a flow run of this process as well, and the commands of the next hour.
    """
    identity = Identity(
        issuer_url=settings.issuer_url.rstrip("/"),
        client_id=str(settings.client_id),
        client_secret=settings.client_secret,
        scope=settings.scope,
    )
    hosts = AllowedHosts(settings.api_url, settings.issuer_url, settings.allowed_hosts)
    saved = SavedToken(prefect_home() / "itwin-export", identity, settings.api_url)

    def open_client(cache: TokenCache) -> OpenClient:
        limits = (settings.requests_per_minute, settings.requests_per_hour)
        transport = Transport(SHARED_CLIENTS.limiter(settings.api_url, *limits))
        tokens = AccessTokens(identity, transport, hosts, cache=cache, saved=saved)
        return OpenClient(apis_of(ItwinClient(settings.api_url, hosts, transport, tokens)), transport)

    caller = caller_key(settings.api_url, identity, revealed(settings.refresh_token))
    async with SHARED_CLIENTS.opened(caller, open_client) as apis:
        yield apis


def is_decided_without_prefect(credentials: str) -> bool:
    """True where the name of the block can only mean the environment: no Prefect server or database is in sight."""
    home = prefect_home()
    return credentials == "default" and not (
        _NAMES_A_SERVER & os.environ.keys() or _is_configured_in_files(home) or _has_saved_block(home)
    )


def is_service(settings: Settings) -> bool:
    """A user's refresh token may work once only, so it is left to Prefect."""
    return settings.authentication_type == "Service" and bool(settings.client_id and settings.client_secret)


def _is_configured_in_files(home: Path) -> bool:
    """True if a profile or a file of the working directory may configure Prefect."""
    try:
        profiles = tomllib.loads(read_bounded(home / "profiles.toml", _LONGEST_FILE, may_be_link=True).decode())
        in_profile = "PREFECT_API_URL" in profiles.get("profiles", {}).get(profiles.get("active"), {})
    except FileNotFoundError:
        in_profile = False
    except (OSError, ValueError, AttributeError, TypeError):
        return True
    files = {"prefect.toml": "", "pyproject.toml": "[tool.prefect", ".env": "PREFECT_"}
    return in_profile or any(_holds(Path(name), mark) for name, mark in files.items())


def _holds(path: Path, mark: str) -> bool:
    try:
        return mark in read_bounded(path, _LONGEST_FILE, may_be_link=True).decode()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True


def _has_saved_block(home: Path) -> bool:
    """True if the temporary server's database may hold a block `default`, which counts before the environment."""
    database = home / "prefect.db"
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute(_SAVED_BLOCK).fetchone() is not None
    except sqlite3.Error:
        return True
