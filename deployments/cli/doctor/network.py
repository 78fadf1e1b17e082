"""How the hosts that an export needs are reached, and which certificates are trusted."""

import asyncio
from collections.abc import AsyncIterator

from prefect.settings import PREFECT_API_URL

from blocks.network import route_to, trust
from blocks.settings import Settings
from blocks.urls import host_of
from deployments.cli.doctor.finding import Finding, look

FILES = "https://any.blob.core.windows.net"
"""Stands for the hosts of files: which ones they are, the platform says with each link."""


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
    return f"{host} is reached {route_to(url).says}."
