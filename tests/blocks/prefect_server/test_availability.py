"""Requests to a Prefect server that may be gone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.prefect_server.availability import LOOK_SECONDS, wait_until_gone, while_it_answers

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def server(*refused: str) -> AsyncGenerator[asyncio.Server]:
    """The Prefect API of the block: it answers its health, and nothing ever to other paths."""
    held: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/health" in head:
            status = b"401 Unauthorized" if refused else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 4\r\nconnection: close\r\n\r\ntrue")
            await writer.drain()
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        yield listening
    for writer in held:
        writer.close()
    listening.close()


async def ask() -> None:
    """Send a request that never gets an answer."""
    async with get_client() as client:
        await client.request("GET", "/variables/{id}", path_params={"id": "x"})


@pytest.mark.parametrize("refused", [(), ("health",)], ids=["healthy", "refused"])
async def test_a_slow_server_is_waited_for(refused: tuple[str, ...]) -> None:
    """A request goes on while the server answers anything at all."""
    async with server(*refused):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(while_it_answers(ask()), 2.5 * LOOK_SECONDS)


async def test_a_server_that_goes_away_is_not_waited_for() -> None:
    """A request is given up once the server is gone, and so is the wait for the end of a flow run."""
    async with server() as listening:
        request = asyncio.create_task(while_it_answers(ask()))
        gone = asyncio.create_task(wait_until_gone())
        await asyncio.sleep(1.5 * LOOK_SECONDS)
        assert not request.done()
        listening.close()
        with pytest.raises(httpx.TransportError):
            await request
        assert isinstance(await gone, httpx.TransportError)


async def test_what_a_request_brings_is_passed_on() -> None:
    """The answer of a request, or its own error, is the caller's."""

    async def fail() -> None:
        raise LookupError("its own")

    assert await while_it_answers(asyncio.sleep(0, "answer")) == "answer"
    with pytest.raises(LookupError, match="its own"):
        await while_it_answers(fail())
