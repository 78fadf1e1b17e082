"""One request to a host through each of the application's five HTTP clients."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from azure.core.rest import HttpRequest

from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from blocks.signed_url import SignedUrl
from blocks.storage.azure_transport import RoutedRequestsTransport
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.renewable_link import fixed_link
from blocks.storage.tileset.curl_reader import TileDownloader
from blocks.storage.tileset.listing import Tile

Client = Callable[[str, Path], Awaitable[object]]


async def _api(origin: str, folder: Path) -> object:
    del folder
    transport = Transport(RequestLimiter(60_000))
    try:
        return await transport.send(httpx.Request("GET", f"{origin}/imodels"), what="Look")
    finally:
        await transport.aclose()


async def _file(origin: str, folder: Path) -> object:
    del folder
    async with HttpRanges(fixed_link(SignedUrl(f"{origin}/c/b?sig=secret")), stall_seconds=5) as source:
        return await source.properties()


async def _azure_file(origin: str, folder: Path) -> object:
    del folder
    async with AzureBlobRanges(fixed_link(SignedUrl(f"{origin}/c/b?sig=secret")), stall_seconds=5) as source:
        return await source.properties()


async def _tile(origin: str, folder: Path) -> object:
    def fetch() -> object:
        downloader = TileDownloader(folder, 5)
        try:
            return downloader.save(SignedUrl(f"{origin}/c?sig=secret"), Tile("tile.glb"))
        finally:
            downloader.close()

    return await asyncio.to_thread(fetch)


async def _azure_account(origin: str, folder: Path) -> object:
    del folder

    def ask() -> object:
        transport = RoutedRequestsTransport()
        try:
            return transport.send(HttpRequest("GET", f"{origin}/?comp=list"))
        finally:
            transport.close()

    return await asyncio.to_thread(ask)


CLIENTS: dict[str, Client] = {
    "httpx": _api,
    "aiohttp": _file,
    "aiohttp of azure": _azure_file,
    "libcurl": _tile,
    "requests": _azure_account,
}
