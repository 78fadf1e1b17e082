"""Whether the Prefect server answers: its client repeats a request that gets no answer for about a minute."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

import httpx
from prefect.client.orchestration import get_client

Result = TypeVar("Result")

ANSWER_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""Time between two looks at the server while a request to it goes on."""
GONE_SECONDS = 3.0
"""Time without an answer after which a server counts as gone; one that is restarted by then goes unnoticed."""


async def require_answer() -> None:
    """Ask the Prefect server whether it is there, once; every answer will do.

    Raises:
        httpx.TransportError: It gives none.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS), get_client(httpx_settings={"timeout": ANSWER_SECONDS}) as client:
            await client.request("GET", "/health")
    except httpx.HTTPStatusError:
        return
    except TimeoutError:
        raise httpx.ReadTimeout(f"no answer within {ANSWER_SECONDS:g} seconds") from None


async def while_it_answers(request: Awaitable[Result]) -> Result:
    """Await a request to the Prefect server; it is given up once the server no longer answers.

    Raises:
        httpx.TransportError: The server does not answer.
    """
    sent = asyncio.ensure_future(request)
    try:
        while not sent.done():
            await asyncio.wait({sent}, timeout=LOOK_SECONDS)
            if not sent.done():
                await require_answer()
        return await sent
    finally:
        sent.cancel()


async def wait_until_gone() -> httpx.TransportError:
    """Return why the Prefect server does not answer, as soon as that has lasted `GONE_SECONDS`."""
    silent_since = None
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        asked_at = time.monotonic()
        try:
            await require_answer()
        except httpx.TransportError as error:
            silent_since = silent_since or asked_at
            if time.monotonic() - silent_since >= GONE_SECONDS:
                return error
        else:
            silent_since = None
