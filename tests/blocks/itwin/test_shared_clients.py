"""What the API clients of a process share, and for how long."""

import asyncio
import threading

import httpx

from blocks.itwin.apis import apis_of
from blocks.itwin.auth.access_tokens import TokenCache
from blocks.itwin.shared_clients import OpenClient, SharedClients
from tests.blocks.itwin.platform import client_to, transport_to


class Opener:
    """Opens clients and remembers the token cache of each."""

    def __init__(self) -> None:
        self.caches: list[TokenCache] = []
        self.opened: list[OpenClient] = []

    def __call__(self, cache: TokenCache) -> OpenClient:
        def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200)

        self.caches.append(cache)
        self.opened.append(OpenClient(apis_of(client_to(answer)), transport_to(answer)))
        return self.opened[-1]


async def test_callers_share_clients_until_the_last_has_closed_them() -> None:
    """Two users of one caller get the same clients; the transport is closed with the last user; then new ones open."""
    shared, opener = SharedClients(), Opener()
    async with shared.opened("me", opener) as first:
        async with shared.opened("me", opener) as second, shared.opened("you", opener) as other:
            assert second is first
            assert other is not first
        assert opener.opened[0].users == 1
    assert opener.opened[0].users == 0
    async with shared.opened("me", opener) as later:
        assert later is not first


def test_a_token_outlives_the_clients_and_their_event_loop() -> None:
    """A caller's token cache is the same in every event loop; another caller and another owner have their own."""
    shared, opener = SharedClients(), Opener()

    async def use(owner: SharedClients, caller: str) -> None:
        async with owner.opened(caller, opener):
            pass

    for owner, caller in ((shared, "me"), (shared, "me"), (shared, "you"), (SharedClients(), "me")):
        asyncio.run(use(owner, caller))
    mine, again, yours, elsewhere = opener.caches
    assert mine is again
    assert len({id(cache) for cache in (mine, yours, elsewhere)}) == 3


def test_one_limiter_for_each_api() -> None:
    """All threads share one limiter per API; another API and another owner have their own."""
    shared = SharedClients()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(shared.limiter("one.example", 450))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert shared.limiter("one.example", 9) is found[0]
    assert shared.limiter("two.example", 450) is not found[0]
    assert SharedClients().limiter("one.example", 450) is not found[0]
