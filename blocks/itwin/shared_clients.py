"""What the API clients of a process share: connections, access tokens and rate limiters."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from blocks.itwin.apis import ItwinApis
from blocks.itwin.auth.access_tokens import TokenCache
from blocks.itwin.auth.token_endpoint import Identity
from blocks.itwin.auth.token_file import fingerprint
from blocks.itwin.rate_limit import CombinedLimiter, RequestLimiter, new_limiter
from blocks.itwin.transport import Transport
from blocks.settings import revealed


def caller_key(api_url: str, identity: Identity, signed_in: str) -> str:
    """A hash that differs between callers which must not share a token.

    Args:
        api_url: Root of the API.
        identity: The client or user.
        signed_in: Tells users of one client apart: the refresh token, or the id of the block that holds it.
    """
    return fingerprint(api_url, *identity.key, revealed(identity.client_secret), identity.scope, signed_in)


@dataclass
class OpenClient:
    """API clients, the transport that is closed with them, and the number of their users."""

    apis: ItwinApis
    transport: Transport
    users: int = 0


class SharedClients:
    """The one owner of what API clients share. A process has one, `SHARED_CLIENTS`.

    What it owns lives for different times:

    * The clients of a caller, with their connections: within one event loop, from the first `async with opened(…)` of
      that caller to the end of the last.
    * The access tokens of a caller: as long as the owner, in memory only, so that the next flow run of a process does
      not have to sign in again.
    * The rate limiter of an API: as long as the owner, because the budget holds for all callers and event loops.

    Safe to use from several threads, each with its own event loop.
    """

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, OpenClient]] = WeakKeyDictionary()
        self._tokens: dict[str, TokenCache] = {}
        self._limiters: dict[str, RequestLimiter | CombinedLimiter] = {}
        self._lock = threading.Lock()

    @asynccontextmanager
    async def opened(self, caller: str, open_client: Callable[[TokenCache], OpenClient]) -> AsyncGenerator[ItwinApis]:
        """The API clients of a caller, shared by all who have them open in this event loop.

        Args:
            caller: Differs between callers that must not share a token.
            open_client: Opens new clients, which keep their token in the given cache.
        """
        with self._lock:
            clients = self._open.setdefault(asyncio.get_running_loop(), {})
            tokens = self._tokens.setdefault(caller, TokenCache())
        client = clients.get(caller) or clients.setdefault(caller, open_client(tokens))
        client.users += 1
        try:
            yield client.apis
        finally:
            client.users -= 1
            if not client.users:
                del clients[caller]
                await client.transport.aclose()

    def limiter(
        self, api_url: str, requests_per_minute: int, requests_per_hour: int | None = None
    ) -> RequestLimiter | CombinedLimiter:
        """The limiter of all requests to one API; the budgets of its first call hold, later ones are ignored."""
        with self._lock:
            if api_url not in self._limiters:
                self._limiters[api_url] = new_limiter(requests_per_minute, requests_per_hour)
            return self._limiters[api_url]


SHARED_CLIENTS = SharedClients()
