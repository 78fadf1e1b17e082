"""The synchronous client of the Azure SDK, for keys and containers, meets hosts whose answers never end."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from blocks.storage import bounded_adapter
from blocks.storage.azure_transport import RoutedRequestsTransport
from tests.bombs.server import BOMBS, SLOW, Answer, Query, serving, slow_answer, whole


def transport_for(seconds: float) -> Any:
    return RoutedRequestsTransport(seconds)


def send(transport: Any, url: str) -> bytes:
    return transport.send(HttpRequest("GET", url)).internal_response.content


async def end_of(answer: Callable[[str, Query], Answer], seconds: float) -> str:
    """How a request to such a host ends."""
    async with serving(answer) as url:
        with closing(transport_for(seconds)) as transport:
            try:
                await asyncio.to_thread(send, transport, url)
            except AzureError as error:
                return str(error)
    return "answered"


@pytest.mark.parametrize("kind", sorted(SLOW.keys() - {"many heads"}))  # http.client takes a 103 for the answer
async def test_a_slow_answer(kind: str) -> None:
    """An answer that comes a byte at a time is given up, whichever part of it is slow."""
    assert "no whole answer came in time" in await end_of(lambda _path, _query: slow_answer(kind), 0.4)


@pytest.mark.parametrize("name", ["a compressed answer", "an answer without end", "an error without end"])
async def test_a_long_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is too long, also once it is decompressed, is given up."""
    monkeypatch.setattr(bounded_adapter, "LONGEST_ANSWER", 1_000_000)
    assert "the answer is longer than 1000000 bytes" in await end_of(BOMBS[name][1], 60)


async def test_repeated_requests_share_the_time() -> None:
    """Requests that the SDK repeats get only what is left of the time."""

    async def answer(_path: str, _query: Query) -> Answer:
        yield whole(b"{}")

    async with serving(answer) as url:
        with closing(transport_for(1.0)) as transport:
            assert await asyncio.to_thread(send, transport, url) == b"{}"
            await asyncio.sleep(1.0)
            with pytest.raises(AzureError, match="no answer came in time"):
                await asyncio.to_thread(send, transport, url)
