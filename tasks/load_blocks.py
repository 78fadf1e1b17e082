"""Load Prefect blocks by name; `default` falls back to the environment.

These are plain functions, because Prefect could persist the result of a task, and blocks hold secrets. The exports of a
batch share what was read of the Prefect server; a refresh token is not part of that, `block_token_store` reads it anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from prefect import get_client
from prefect.blocks.core import Block
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import ValidationError

from blocks.errors import ConfigurationError, without_secrets
from blocks.itwin.credentials import ItwinCredentials
from blocks.network import check_prefect_network
from blocks.settings import read_settings

Loaded = TypeVar("Loaded", bound=Block)
Read = TypeVar("Read")

SHARED_SECONDS = 60.0
"""How long the exports of a batch share a block; one that is changed meanwhile counts after that."""


class SharedReads:
    """What the exports of a batch have read of the Prefect server; each is read again after a minute.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read: dict[tuple[str, str], tuple[float, Any]] = {}

    async def get(self, key: tuple[str, str], read: Callable[[], Awaitable[Read]]) -> Read:
        """What was read under that key, or is read now; an error is raised and not kept."""
        async with self._lock:
            read_at, found = self._read.get(key, (float("-inf"), None))
            if self._clock() - read_at > SHARED_SECONDS:
                read_at, found = self._clock(), await read()
                self._read[key] = (read_at, found)
            return found


_shared: ContextVar[SharedReads | None] = ContextVar("shared_reads", default=None)


@contextmanager
def sharing_blocks(shared: SharedReads) -> Generator[None]:
    """Let all that is loaded in this context be read once."""
    token = _shared.set(shared)
    try:
        yield
    finally:
        _shared.reset(token)


async def _once(key: tuple[str, str], read: Callable[[], Awaitable[Read]]) -> Read:
    shared = _shared.get()
    return await (shared.get(key, read) if shared else read())


async def load_credentials(name: str) -> ItwinCredentials:
    """The credentials block of that name, or the credentials of the environment if `default` is not saved.

    Raises:
        ConfigurationError: There is no such block, or the environment lacks a setting; the message lists saved blocks.
    """
    saved = await load_saved(ItwinCredentials, name)
    return saved or ItwinCredentials.from_settings(read_settings())


async def load_saved(kind: type[Loaded], name: str) -> Loaded | None:
    """The saved block of that name; None when `default` is not saved.

    Raises:
        ConfigurationError: There is no block of that name, or its content is invalid.
    """
    try:
        return await find_saved(kind, name)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]["msg"]
        raise ConfigurationError(f"The block “{name}” ({kind.get_block_type_slug()}) is not usable: {fault}.") from None
    except NoBlockError:
        if name == "default":
            return None
        raise


class NoBlockError(ConfigurationError):
    """There is no block of that type and name; the message lists saved ones."""


async def find_saved(kind: type[Loaded], name: str) -> Loaded:
    """The saved block of that name.

    Raises:
        NoBlockError: There is none.
        ValidationError: Its content is invalid.
    """
    check_prefect_network()  # Prefect's client raises FileNotFoundError or ImportError otherwise
    slug = kind.get_block_type_slug()
    saved = await _once((slug, ""), partial(_saved_names, kind))
    if name in saved:
        return await _once((slug, name), partial(kind.aload, name))
    listed = ", ".join(saved) or "none is saved"
    raise NoBlockError(
        f"There is no {slug} block named “{without_secrets(name)}”. Saved ones: {listed}. "
        f"Choose one of them, or save one in the Prefect UI under Blocks."
    )


async def _saved_names(kind: type[Block]) -> list[str]:
    async with get_client() as client:
        try:
            found = await client.read_block_documents_by_type(kind.get_block_type_slug(), include_secrets=False)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            return []  # no block of this type was ever saved on this server
    return sorted(document.name for document in found if document.name)
