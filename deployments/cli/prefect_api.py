"""Which Prefect API a command talks to, who named it, and what to say when it is not there."""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.context import get_settings_context
from prefect.settings import PREFECT_API_URL

from blocks.errors import ConfigurationError, without_secrets
from blocks.known_secrets import remember_secret
from blocks.network import check_prefect_network
from deployments.cli.prefect_home import check_database, check_home, check_results
from deployments.stop_signals import stop_signals

Result = TypeVar("Result")


def ask_lasting_server(what: str, work: Callable[[PrefectClient], Awaitable[Result]]) -> Result:
    """The result of work on the Prefect server that is configured; a temporary one would be of no use.

    Args:
        what: What the server is needed for, as the beginning of a sentence: “Automations”.
        work: Gets a client of the server.

    Raises:
        ConfigurationError: No server is configured.
    """
    require_prefect_api()
    if not PREFECT_API_URL.value():
        raise ConfigurationError(
            f"{what} are on a Prefect server that goes on when this command ends, and none is configured. Set "
            f"PREFECT_API_URL; for the one of make up: set -a; . .itwin-export/client.env; set +a"
        )

    async def ask() -> Result:
        async with get_client() as client:
            return await work(client)

    return stop_signals.run(ask())


def require_prefect_api() -> None:
    """Look at what can be known before a flow starts: the network, Prefect's folders, and the address named.

    Raises:
        ConfigurationError: Prefect's client or the own server could not start, the address is none of an API, or
            results of steps cannot be kept.
    """
    check_prefect_network()
    url: str | None = PREFECT_API_URL.value()
    if url and not _is_http_address(url):
        raise ConfigurationError(
            f"“{_without_password(url)}”, named by {_origin()}, is no address of a Prefect API. "
            f"Write it as http://HOST:PORT/api or https://HOST/api, or remove it."
        )
    if not url:
        check_home()
        check_database()
    elif "api" not in urlsplit(url).path.split("/") and not _is_api(url) and _is_api(f"{url.rstrip('/')}/api"):
        shown = _without_password(url).rstrip("/")
        raise ConfigurationError(
            f"{shown}, named by {_origin()}, is the address of Prefect's UI; its API is at {shown}/api. "
            f"Set PREFECT_API_URL to that."
        )
    check_results()


def unreachable(reason: str) -> str:
    """What to say about an API that does not answer: its address, who named it, and what to do about that."""
    url = _without_password(str(PREFECT_API_URL.value()))
    return f"{url}, named by {_origin()}, does not answer, or has lost its database ({reason}). {_remedy()}"


def _without_password(url: str) -> str:
    """An address as it may be shown; its password is a secret from here on."""
    with suppress(ValueError):
        remember_secret(urlsplit(url).password or "")
    return without_secrets(url)


def _is_http_address(url: str) -> bool:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return address.scheme in {"http", "https"} and bool(address.host) and (address.port or 1) < 65536


def _is_api(url: str) -> bool:
    """True where Prefect's own health check answers as an API; the UI answers with a page."""
    try:
        return httpx.get(f"{url.rstrip('/')}/health", timeout=5).json() is True
    except (httpx.HTTPError, ValueError):
        return False


def _profile() -> str | None:
    """The Prefect profile that names the address, unless something stronger does."""
    profile = get_settings_context().profile
    if "PREFECT_API_URL" in os.environ or PREFECT_API_URL not in profile.settings:
        return None
    return profile.name


def _origin() -> str:
    if "PREFECT_API_URL" in os.environ:
        return "PREFECT_API_URL"
    if profile := _profile():
        return f"the Prefect profile “{profile}”"
    return "a .env, prefect.toml or pyproject.toml in this folder"


def _remedy() -> str:
    if profile := _profile():
        return (
            f"Start a Prefect server there, correct the profile (prefect --profile {profile} config set "
            f"PREFECT_API_URL=…), or use another one (prefect profile use ephemeral)."
        )
    return f"Start a Prefect server there, or correct or remove {_origin()}."
