"""Access tokens: kept in memory, shared by everything that runs in a process, renewed before they expire.

A refresh token may work once only, so spending one is done by one caller at a time: one task of an event loop, one
event loop of a process, one process of those that share the token's store.

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
from blocks.itwin.auth.token_endpoint import Identity, InvalidGrantError, TokenEndpoint
from blocks.itwin.transport import Json, Transport
from blocks.known_secrets import remember_secret

EXPIRY_MARGIN_SECONDS = 60.0
DEFAULT_LIFETIME_SECONDS = 3600.0
CARRY_THROUGH_SECONDS = 15.0
TURN_POLL_SECONDS = 0.05

Outcome = TypeVar("Outcome")


class TokenProvider(Protocol):
    """Hands out access tokens."""

    async def token(self, rejected: str | None = None) -> str:
        """A token that is not about to expire and is not the rejected one."""
        ...


class RefreshTokens(Protocol):
    """Where the newest refresh token of a user lives."""

    @property
    def sign_in(self) -> str:
        """What a person does when no refresh token is accepted any more; one sentence."""
        ...

    def exclusively(self) -> AbstractAsyncContextManager[None]:
        """Keep every other process from spending the token meanwhile."""
        ...

    async def load(self) -> str:
        """The newest one.

        Raises:
            SignInRequiredError: There is none.
        """
        ...

    async def replace(self, used: str, new: str) -> None:
        """Keep `new`, which came back when `used` was spent."""
        ...


@dataclass(frozen=True)
class AccessToken:
    """A bearer token and the moment (of the monotonic clock, seconds) from which it is no longer handed out."""

    value: str = field(repr=False)
    renew_at: float


class TokenCache:
    """The current access token of one caller, for all threads and event loops of a process."""

    def __init__(self) -> None:
        self.current: AccessToken | None = None
        self._lock = threading.Lock()

    @asynccontextmanager
    async def lock(self) -> AsyncGenerator[None]:
        """One event loop at a time; polled, because a lock that waits in a thread cannot be cancelled."""
        while not self._lock.acquire(blocking=False):  # noqa: ASYNC110  an event belongs to one loop
            await asyncio.sleep(TURN_POLL_SECONDS)
        try:
            yield
        finally:
            self._lock.release()


class AccessTokens:
    """The access tokens of one identity, as one event loop sees them.

    Args:
        identity: Who asks.
        transport: Sends the requests.
        hosts: Where the issuer's endpoints may be.
        refresh_tokens: Where a user's refresh token lives.
        shelf: Shared by all event loops of the process.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._endpoint = TokenEndpoint(identity, transport, hosts)
        self._refresh_tokens = refresh_tokens
        self._cache = cache or TokenCache()
        self._clock = clock
        self._in_flight = asyncio.Lock()

    async def token(self, rejected: str | None = None) -> str:
        """A usable access token.

        Raises:
            SignInRequiredError: The credentials are refused.
            TransientError: The sign-in service gave no usable answer.
        """
        if (usable := self._usable(rejected)) is not None:
            return usable.value
        async with self._in_flight, self._cache.lock():
            usable = self._usable(rejected)
            if usable is None:
                usable = self._cache.current = await self._fetch()
            return usable.value

    def _usable(self, rejected: str | None) -> AccessToken | None:
        current = self._cache.current
        if current is None or current.value == rejected or self._clock() >= current.renew_at:
            return None
        return current

    async def _fetch(self) -> AccessToken:
        if self._identity.authentication_type == "Service":
            scopes = self._identity.scopes
            return self._keep(await self._endpoint.request_token({"grant_type": "client_credentials", "scope": scopes}))
        kept = self._refresh_tokens
        if kept is None:
            raise SignInRequiredError(
                f"Nobody is signed in as client {self._identity.client_id}. Sign in: itwin-export login"
            )
        async with kept.exclusively():
            return await run_to_completion(self._spend(kept))

    async def _spend(self, kept: RefreshTokens) -> AccessToken:
        """Trade the refresh token in; where somebody signed in anew meanwhile, the newer one, once."""
        used = await kept.load()
        try:
            answer = await self._redeem(used)
        except InvalidGrantError as refusal:
            newer = await kept.load()
            if newer == used:
                raise SignInRequiredError(f"{refusal} {kept.sign_in}") from None
            used, answer = newer, await self._redeem_last(newer, kept)
        new = answer.get("refresh_token")
        if isinstance(new, str) and new and new != used:
            remember_secret(new)
            await kept.replace(used, new)
        return self._keep(answer)

    async def _redeem(self, refresh_token: str) -> Json:
        remember_secret(refresh_token)
        return await self._endpoint.request_token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _redeem_last(self, refresh_token: str, kept: RefreshTokens) -> Json:
        try:
            return await self._redeem(refresh_token)
        except InvalidGrantError as refusal:
            raise SignInRequiredError(f"{refusal} {kept.sign_in}") from None

    def _keep(self, answer: Json) -> AccessToken:
        value = answer.get("access_token")
        if not isinstance(value, str) or not value:
            raise TransientError("Sign in: the sign-in service answered without an access token. Try again later.")
        remember_secret(value)
        lifetime = _seconds(answer.get("expires_in"))
        margin = min(EXPIRY_MARGIN_SECONDS, lifetime / 5)
        return AccessToken(value, self._clock() + lifetime - margin)


async def run_to_completion(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Do the work to its end even when the caller is cancelled: a token spent and not kept is lost for good."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        give_up = time.monotonic() + CARRY_THROUGH_SECONDS
        while not task.done() and (left := give_up - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=left)
        if task.done() and not task.cancelled():
            task.exception()  # seen here, so that nobody complains that it never was
        raise


def _seconds(value: object) -> float:
    try:
        return max(1.0, float(str(value)))
    except ValueError:
        return DEFAULT_LIFETIME_SECONDS
