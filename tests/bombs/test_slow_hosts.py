"""Hosts that send a byte at a time, so that they never fall silent, are given up."""

import asyncio
from pathlib import Path

import httpx
import pytest

from blocks.errors import InterruptedTransferError, TransientError
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from blocks.signed_url import SignedUrl
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import download
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.download.source import BlobProperties
from blocks.storage.download.timed_source import TimedSource
from blocks.storage.renewable_link import fixed_link
from blocks.storage.retry import RetryPolicy
from blocks.storage.tileset.download import fetch_tileset
from tests.bombs.server import SLOW, Answer, serving, slow_answer, slowly, without_listing

ONCE = RetryPolicy(attempts=1)
Source = type[HttpRanges] | type[AzureBlobRanges]
slow = pytest.mark.parametrize("kind", SLOW)
sources = pytest.mark.parametrize("kind_of_source", [HttpRanges, AzureBlobRanges])


@slow
async def test_a_slow_answer_of_the_platform(kind: str) -> None:
    """A request to the platform has a time limit for the whole answer."""
    async with serving(lambda _path, _query: slow_answer(kind)) as url:
        transport = Transport(RequestLimiter(1000), answer_seconds=0.4)
        request = httpx.Request("GET", url)
        with pytest.raises(TransientError, match="did not answer in time"):
            await transport.send(request, what="Ask")
        await transport.aclose()


@slow
async def test_a_slow_listing(kind: str, tmp_path: Path) -> None:
    """A page of a container's listing has a time limit."""
    async with serving(lambda _path, _query: slow_answer(kind)) as url:
        with pytest.raises(InterruptedTransferError, match="hardly anything"):
            await fetch_tileset(fixed_link(link(url)), tmp_path / "staging", stall_seconds=0.2, retry_policy=ONCE)


@slow
async def test_a_slow_tile(kind: str, tmp_path: Path) -> None:
    """A tile has to come at a least speed."""
    async with serving(without_listing(lambda _path: slow_answer(kind))) as url:
        with pytest.raises(InterruptedTransferError, match="hardly anything"):
            await fetch_tileset(fixed_link(link(url)), tmp_path / "staging", stall_seconds=1, retry_policy=ONCE)


@slow
@sources
async def test_a_slow_range(kind: str, kind_of_source: Source) -> None:
    """Each range of a file has to come at a least speed; the Azure SDK is given none without a length."""
    headers = 'ETag: "v1"\r\nContent-Range: bytes 0-899/900\r\n'
    async with (
        serving(lambda _path, _query: slow_answer(kind, headers)) as url,
        kind_of_source(fixed_link(link(url)), stall_seconds=5) as source,
    ):
        with pytest.raises(InterruptedTransferError, match=r"bytes a second|without its length"):
            _ = [piece async for piece in TimedSource(source, 0.2).read(0, 900, BlobProperties(900, '"v1"'))]


@sources
@pytest.mark.parametrize("kind", ["head", "many heads"])
async def test_slow_properties(kind: str, kind_of_source: Source, tmp_path: Path) -> None:
    """The properties of a file, which come without content, have a time limit."""
    async with (
        serving(lambda _path, _query: slow_answer(kind)) as url,
        kind_of_source(fixed_link(link(url)), stall_seconds=5) as source,
    ):
        with pytest.raises(InterruptedTransferError, match="bytes a second"):
            await download(source, tmp_path / "a.ifc", retry_policy=ONCE, answer_seconds=0.3)


async def test_a_cancelled_tile_is_given_up(tmp_path: Path) -> None:
    """A tile that would take an hour is given up when the export is cancelled."""
    asked = asyncio.Event()

    def answer(path: str) -> Answer:
        del path
        asked.set()
        return slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * 5000)

    async with serving(without_listing(answer)) as url:
        task = asyncio.create_task(fetch_tileset(fixed_link(link(url)), tmp_path / "staging", stall_seconds=30))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(task), 60)


def link(url: str) -> SignedUrl:
    return SignedUrl(f"{url}/account/container/blob?sig=x")
