"""How the hosts that an export needs are reached, and which certificates are trusted."""

import asyncio
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from prefect.settings import PREFECT_API_URL

from blocks.errors import ConfigurationError
from blocks.network import route_to, trust
from blocks.settings import Settings
from blocks.urls import host_of
from deployments.cli.doctor.finding import Finding, look

FILES = "https://any.blob.core.windows.net"
"""Stands for the hosts of files: which ones they are, the platform says with each link."""
CONNECT_SECONDS = 5.0


async def network_findings(settings: Settings) -> AsyncIterator[Finding]:
    """The trusted certificates, and the way to each host."""
    yield await look("Certificates", asyncio.to_thread(_certificates))
    targets = {"API": settings.api_url, "sign-in": settings.issuer_url, "files": FILES}
    if own := PREFECT_API_URL.value():
        targets["Prefect API"] = own
    for name, url in targets.items():
        yield await look(f"Way to {name}", _way(url))


def _certificates() -> str:
    trusted = trust()
    trusted.context()
    return f"Trusted is {trusted.says}."


async def _way(url: str) -> str:
    host = host_of(url).replace("any.", "*.", 1) if url == FILES else host_of(url)
    route = route_to(url)
    if route.proxy and (fault := await _connection_fault(route.proxy)):
        raise ConfigurationError(
            f"Requests to {host} go {route.says}, which cannot be reached ({fault}). Correct the variable, or name the "
            f"host in NO_PROXY."
        )
    return f"Requests to {host} go {route.says}."


async def _connection_fault(proxy: str) -> str | None:
    address = urlsplit(proxy)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS:g} seconds"
    except OSError as error:
        return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    writer.close()
    return None
