"""Access tokens of a user: one caller at a time uses the refresh token, and its replacement is always stored."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from blocks.errors import ConfigurationError, SignInRequiredError, TransientError
from blocks.itwin.auth.access_tokens import AccessTokens, TokenCache
from blocks.itwin.auth.token_endpoint import Identity
from tests.blocks.itwin.platform import HOSTS, ISSUER, FakeTime, answer, transport_to

USER = Identity(issuer_url=ISSUER, client_id="native-1", authentication_type="User")


@dataclass
class Issuer:
    """A token endpoint that accepts each refresh token once and returns the next: r0, r1, …; a1, a2, … for access."""

    valid: str = "r0"
    lifetime: float = 100
    spent: list[str] = field(default_factory=list[str])
    before_answer: Callable[[], object] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return answer(status=404)
        presented = httpx.QueryParams(request.content.decode())["refresh_token"]
        if presented != self.valid:
            return answer({"error": "invalid_grant", "error_description": "Used."}, 400)
        self.spent.append(presented)
        count = len(self.spent)
        self.valid = f"r{count}"
        self.before_answer()
        return answer({"access_token": f"a{count}", "refresh_token": self.valid, "expires_in": self.lifetime})


@dataclass
class Kept:
    """A store in memory; the second read returns `newer`, and a `full` one rejects writes."""

    token: str = "r0"
    newer: str = ""
    full: bool = False
    loads: int = 0
    sign_in: str = "Sign in again: itwin-export login --block ada"

    @asynccontextmanager
    async def exclusively(self) -> AsyncGenerator[None]:
        yield

    async def load(self) -> str:
        self.loads += 1
        return self.newer if self.newer and self.loads > 1 else self.token

    async def replace(self, used: str, new: str) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise ConfigurationError(f"No room for the successor of a token of {len(used)} characters.")
        self.token = new


def tokens_of(
    issuer: Issuer, kept: Kept, *, clock: FakeTime | None = None, cache: TokenCache | None = None
) -> AccessTokens:
    return AccessTokens(USER, transport_to(issuer), HOSTS, kept, cache=cache, clock=clock or FakeTime())


async def test_many_askers_spend_one_refresh_token() -> None:
    """Concurrent tasks use one refresh token and get the same access token."""
    issuer, kept = Issuer(), Kept()
    tokens = tokens_of(issuer, kept)
    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"a1"}
    assert (issuer.spent, kept.token) == (["r0"], "r1")


def test_event_loops_of_a_process_share_an_access_token() -> None:
    """Threads with separate event loops use one refresh token together."""
    issuer, kept, cache = Issuer(before_answer=lambda: time.sleep(0.05)), Kept(), TokenCache()
    got: list[str] = []

    def ask() -> None:
        got.append(asyncio.run(tokens_of(issuer, kept, cache=cache).token()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["a1"] * 8
    assert issuer.spent == ["r0"]


@pytest.mark.parametrize(("lifetime", "renewed_at"), [(5, 4), (100, 80), (3600, 3540)])
async def test_tokens_are_renewed_before_they_expire(lifetime: float, renewed_at: float) -> None:
    """A token is used until a fifth of its lifetime, at most a minute, is left."""
    clock, issuer = FakeTime(), Issuer(lifetime=lifetime)
    tokens = tokens_of(issuer, Kept(), clock=clock)
    assert await tokens.token() == "a1"
    clock.now += renewed_at - 0.1
    assert await tokens.token() == "a1"
    clock.now += 0.2
    assert await tokens.token() == "a2"


async def test_a_rejected_token_is_renewed_once() -> None:
    """Tasks that were all rejected with the same token get the same new one."""
    issuer = Issuer()
    tokens = tokens_of(issuer, Kept())
    first = await tokens.token()
    assert set(await asyncio.gather(*(tokens.token(rejected=first) for _ in range(5)))) == {"a2"}
    assert issuer.spent == ["r0", "r1"]


async def test_a_cancelled_caller_does_not_lose_the_new_token() -> None:
    """A caller cancelled during its request still stores the new refresh token."""
    issuer, kept = Issuer(), Kept()
    asking = asyncio.ensure_future(tokens_of(issuer, kept).token())
    issuer.before_answer = asking.cancel
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert kept.token == issuer.valid == "r1"


async def test_a_newer_token_is_used_when_the_known_one_is_refused() -> None:
    """If the user signed in again meanwhile, the newer token is used after a rejection."""
    issuer, kept = Issuer(valid="fresh"), Kept(newer="fresh")
    assert await tokens_of(issuer, kept).token() == "a1"
    assert kept.token == "r1"


@pytest.mark.parametrize("newer", ["", "as-bad"])
async def test_without_an_accepted_token_a_person_is_told_what_to_run(newer: str) -> None:
    """After a final rejection the error names the command to sign in again, and no token."""
    issuer, kept = Issuer(valid="another"), Kept(newer=newer)
    with pytest.raises(SignInRequiredError, match="itwin-export login --block ada") as caught:
        await tokens_of(issuer, kept).token()
    assert kept.loads == 2
    assert "r0" not in str(caught.value)


async def test_without_any_refresh_token_a_person_is_told_what_to_run() -> None:
    """For a user who never signed in the error names the command."""
    with pytest.raises(SignInRequiredError, match="itwin-export login"):
        await AccessTokens(USER, transport_to(Issuer()), HOSTS).token()


async def test_a_token_that_cannot_be_kept_is_a_failure() -> None:
    """If the new refresh token cannot be stored, the caller gets the error and no access token."""
    kept = Kept(full=True)
    with pytest.raises(ConfigurationError, match="No room"):
        await tokens_of(Issuer(), kept).token()
    assert kept.token == "r0"


async def test_an_answer_without_an_access_token_still_keeps_the_refresh_token() -> None:
    """A response without an access token is a transient error, but its refresh token is stored."""
    kept = Kept()

    def half(request: httpx.Request) -> httpx.Response:
        return answer(status=404) if request.method == "GET" else answer({"refresh_token": "r1"})

    with pytest.raises(TransientError, match="without an access token"):
        await AccessTokens(USER, transport_to(half), HOSTS, kept, clock=FakeTime()).token()
    assert kept.token == "r1"


async def test_an_access_token_is_no_part_of_what_is_printed() -> None:
    """The representation of a token object does not show the token."""
    cache = TokenCache()
    await tokens_of(Issuer(), Kept(), cache=cache).token()
    assert "a1" not in repr(cache.current)
