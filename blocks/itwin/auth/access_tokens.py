"""Access tokens: cached in memory, shared within a process and renewed before they expire.

A refresh token may be valid for one use only, so only one caller uses it at a time: one task per event loop, one event
loop per process, and one process per token store.

Vendor page: https://developer.bentley.com/apis/overview/authorization/
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from blocks.errors import SignInRequiredError, TransientError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.auth.saved_token import SavedToken
from blocks.itwin.auth.token_endpoint import Identity, InvalidGrantError, TokenEndpoint
from blocks.itwin.transport import Json, Transport
from blocks.known_secrets import remember_secret

EXPIRY_MARGIN_SECONDS = 60.0
DEFAULT_LIFETIME_SECONDS = 3600.0
COMPLETION_SECONDS = 15.0
LOCK_POLL_SECONDS = 0.05

Outcome = TypeVar("Outcome")


class TokenProvider(Protocol):
    """A source of access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """A token that does not expire soon and is not the rejected one."""
        ...


class RefreshTokens(Protocol):
    """The store of a user's newest refresh token."""

    @property
    def sign_in(self) -> str:
        """One sentence that tells the user how to sign in again when no refresh token is accepted."""
        ...

    def exclusively(self) -> AbstractAsyncContextManager[None]:
        """Prevent other processes from using the refresh token until the context ends."""
        ...

    async def load(self) -> str:
        """Read the newest refresh token.

        Raises:
            SignInRequiredError: There is none.
        """
        ...

    async def replace(self, used: str, new: str) -> None:
        """Store `new`, which the token endpoint returned in exchange for `used`."""
        ...


@dataclass(frozen=True)
class AccessToken:
    """A bearer token and the time from which it is replaced (seconds of the monotonic clock)."""

    value: str = field(repr=False)
    renew_at: float


class TokenCache:
    """The current access token of one caller, shared by all threads and event loops of a process."""

    def __init__(self) -> None:
        self.current: AccessToken | None = None
        self._lock = threading.Lock()

    @asynccontextmanager
    async def lock(self) -> AsyncGenerator[None]:
        """Lock out the other event loops; polls, because waiting for a lock in a thread cannot be cancelled."""
        while not self._lock.acquire(blocking=False):  # noqa: ASYNC110  an event belongs to one loop
            await asyncio.sleep(LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            self._lock.release()


class AccessTokens:
    """The access tokens of one identity in one event loop.

    Args:
        identity: The client or user for whom tokens are requested.
        transport: Sends the requests.
        hosts: The allow list for the issuer's endpoints.
        refresh_tokens: The store of a user's refresh token.
        cache: The current token, shared by all event loops of the process.
        saved: Keeps the token of a service application for later processes.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        identity: Identity,
        transport: Transport,
        hosts: AllowedHosts,
        refresh_tokens: RefreshTokens | None = None,
        *,
        cache: TokenCache | None = None,
        saved: SavedToken | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._endpoint = TokenEndpoint(identity, transport, hosts)
        self._refresh_tokens = refresh_tokens
        self._cache = cache or TokenCache()
        self._saved = saved
        self._clock = clock
        self._in_flight = asyncio.Lock()

    async def token(self, rejected: str | None = None) -> str:
        """A usable access token.

        Raises:
            SignInRequiredError: The credentials are rejected.
            TransientError: The sign-in service gave no usable response.
        """
        if (usable := self._usable(rejected)) is not None:
            return usable.value
        async with self._in_flight, self._cache.lock():
            usable = self._usable(rejected)
            if usable is None:
                usable = self._cache.current = await self._fetch(rejected)
            return usable.value

    def _usable(self, rejected: str | None) -> AccessToken | None:
        current = self._cache.current
        if current is None or current.value == rejected or self._clock() >= current.renew_at:
            return None
        return current

    async def _fetch(self, rejected: str | None) -> AccessToken:
        if self._identity.authentication_type == "Service":
            return self._load(rejected) or await self._request_for_service()
        store = self._refresh_tokens
        if store is None:
            raise SignInRequiredError(
                f"Nobody is signed in as client {self._identity.client_id}. Sign in: itwin-export login"
            )
        async with store.exclusively():
            return await run_to_completion(self._exchange(store))

    def _load(self, rejected: str | None) -> AccessToken | None:
        """The token that an earlier process has saved."""
        found = self._saved.load() if self._saved else None
        if found is None or found[0] == rejected:
            return None
        value, seconds = found
        remember_secret(value)
        return AccessToken(value, self._clock() + seconds)

    async def _request_for_service(self) -> AccessToken:
        form = {"grant_type": "client_credentials", "scope": self._identity.scopes}
        token = self._access_token(await self._endpoint.request_token(form))
        if self._saved:
            self._saved.keep(token.value, token.renew_at - self._clock())
        return token

    async def _exchange(self, store: RefreshTokens) -> AccessToken:
        """Exchange the refresh token; if it is rejected and the store has a newer one, exchange that one once."""
        used = await store.load()
        try:
            answer = await self._request_with(used)
        except InvalidGrantError as refusal:
            newer = await store.load()
            if newer == used:
                raise SignInRequiredError(f"{refusal} {store.sign_in}") from None
            used, answer = newer, await self._request_with_last(newer, store)
        new = answer.get("refresh_token")
        if isinstance(new, str) and new and new != used:
            remember_secret(new)
            await store.replace(used, new)
        return self._access_token(answer)

    async def _request_with(self, refresh_token: str) -> Json:
        remember_secret(refresh_token)
        return await self._endpoint.request_token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _request_with_last(self, refresh_token: str, store: RefreshTokens) -> Json:
        try:
            return await self._request_with(refresh_token)
        except InvalidGrantError as refusal:
            raise SignInRequiredError(f"{refusal} {store.sign_in}") from None

    def _access_token(self, answer: Json) -> AccessToken:
        value = answer.get("access_token")
        if not isinstance(value, str) or not value:
            raise TransientError("Sign in: the sign-in service answered without an access token. Try again later.")
        remember_secret(value)
        lifetime = _seconds(answer.get("expires_in"))
        margin = min(EXPIRY_MARGIN_SECONDS, lifetime / 5)
        return AccessToken(value, self._clock() + lifetime - margin)


async def run_to_completion(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Await even if cancelled (up to 15 s): a rotated refresh token that is not stored is lost."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        give_up = time.monotonic() + COMPLETION_SECONDS
        while not task.done() and (left := give_up - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=left)
        if task.done() and not task.cancelled():
            task.exception()  # marks it as retrieved: asyncio would log it otherwise
        raise


def _seconds(value: object) -> float:
    try:
        return max(1.0, float(str(value)))
    except ValueError:
        return DEFAULT_LIFETIME_SECONDS
