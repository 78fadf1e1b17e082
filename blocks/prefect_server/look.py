"""One look of a service that reads the Prefect server again and again."""

import logging
from collections.abc import Awaitable, Callable

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException

from blocks.errors import without_secrets


async def look_once(look: Callable[[PrefectClient], Awaitable[None]], log: logging.Logger) -> None:
    """Call `look` with a client; a server that is away is logged, for the next look asks it again."""
    try:
        async with get_client() as client:
            await look(client)
    except (httpx.HTTPError, PrefectException, RuntimeError, OSError) as error:
        log.warning("The Prefect server cannot be asked now: %s", without_secrets(str(error)))
