"""The rate limiter shared by several processes, with a real Prefect server."""

import asyncio
import time

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.rate_limit import RequestLimiter, burst_of
from blocks.prefect_server.rate_limit import SharedRateLimiter

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

PER_MINUTE = 600
BURST = PER_MINUTE // 10
PER_SECOND = (PER_MINUTE - BURST) / 60
LONGEST_WAIT = 90.0
"""Seconds until every process has sent something."""


def budget(name: str) -> SharedRateLimiter:
    """The shared rate limiter of one process."""
    return SharedRateLimiter(name, PER_MINUTE, burst_of(PER_MINUTE), RequestLimiter(10_000_000))


async def test_processes_share_one_budget() -> None:
    """Four processes together send no more than the budget allows, and each gets a share of it."""
    sent = [0, 0, 0, 0]

    async def send(number: int, shared: SharedRateLimiter) -> None:
        while True:
            await shared.admit()
            sent[number] += 1
            await asyncio.sleep(0)  # a request would be sent here

    started = time.monotonic()
    senders = [asyncio.create_task(send(number, budget("test-shared"))) for number in range(len(sent))]
    await asyncio.sleep(5)
    # A busy server takes its time.
    while (min(sent) == 0 or sum(sent) <= BURST) and time.monotonic() - started < LONGEST_WAIT:  # noqa: ASYNC110
        await asyncio.sleep(1)
    seconds = time.monotonic() - started
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)
    assert sum(sent) <= BURST + PER_SECOND * seconds + 1
    assert sum(sent) > BURST
    assert min(sent) > 0


async def test_the_limit_is_made_on_demand_and_kept_current() -> None:
    """The first request creates the limit; another budget updates it."""
    await budget("test-made").admit()
    await SharedRateLimiter("test-made", 2 * PER_MINUTE, burst_of(2 * PER_MINUTE), RequestLimiter(10_000_000)).admit()
    async with get_client() as client:
        limit = await client.read_global_concurrency_limit_by_name("test-made")
    assert limit.slot_decay_per_second == 2 * PER_SECOND


async def test_without_the_server_the_local_limiter_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """While the Prefect server is unreachable requests continue, with one warning in the log."""
    shared = budget("test-away")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        for _ in range(50):
            await shared.admit()
    assert caplog.text.count("uses its own") == 1


@pytest.mark.parametrize(("asked", "kind"), [("true", SharedRateLimiter), ("false", RequestLimiter)])
async def test_sharing_is_a_setting(monkeypatch: pytest.MonkeyPatch, asked: str, kind: type[object]) -> None:
    """`ITWIN_SHARE_REQUESTS` selects the shared or the local rate limiter."""
    monkeypatch.setenv("ITWIN_SHARE_REQUESTS", asked)
    transport = ItwinCredentials(client_id="one", client_secret=SecretStr("two")).transport()
    assert isinstance(transport._limiter, kind)  # pyright: ignore[reportPrivateUsage]
    await transport.aclose()
