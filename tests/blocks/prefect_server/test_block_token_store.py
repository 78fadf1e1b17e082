"""A refresh token in a saved block, on a real Prefect server."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from blocks.errors import ConfigurationError, SignInRequiredError, TransientError
from blocks.itwin.auth.token_file import TokenFile
from blocks.itwin.credentials import ItwinCredentials
from blocks.prefect_server.block_token_store import BlockTokens
from blocks.prefect_server.lease import Lease, LeaseTimes

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

NAME = "ada-block"
STALLED = LeaseTimes(heartbeat=0.1, stale=1, timeout=60)
QUICK = LeaseTimes(heartbeat=0.5, stale=2, timeout=120)
LIVELY = LeaseTimes(heartbeat=1, stale=4, timeout=60)
"""For slow servers, which may delay a heartbeat by a second or two."""


@pytest.fixture
async def saved() -> AsyncGenerator[ItwinCredentials]:
    """A block with a token and a secret."""
    block = ItwinCredentials(
        authentication_type="User",
        client_id="web-1",
        client_secret=SecretStr("the-secret"),
        refresh_token=SecretStr("first"),
    )
    await block.asave(NAME, overwrite=True)
    yield await read_block()
    await cast("Any", ItwinCredentials).adelete(NAME)


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "itwin-export", "owner")


async def read_block() -> ItwinCredentials:
    return await ItwinCredentials.aload(NAME)


def revealed(block: ItwinCredentials) -> str:
    return block.refresh_token.get_secret_value() if block.refresh_token else ""


def tokens_of(block: ItwinCredentials, file: TokenFile) -> BlockTokens:
    return BlockTokens(document_id_of(block), NAME, file)


def document_id_of(block: ItwinCredentials) -> UUID:
    document_id = block._block_document_id  # pyright: ignore[reportPrivateUsage]
    assert document_id is not None
    return document_id


async def test_only_the_token_is_stored(saved: ItwinCredentials, file: TokenFile) -> None:
    """Storing a token keeps fields that were edited in the block meanwhile, secrets included."""
    tokens = tokens_of(saved, file)
    async with tokens.exclusively():
        used = await tokens.load()
        edited = saved.model_copy(update={"scope": "edited", "client_secret": SecretStr("edited-secret")})
        await edited.asave(NAME, overwrite=True)
        await tokens.replace(used, "second")
    now = await read_block()
    assert now.client_secret is not None
    assert (revealed(now), now.client_secret.get_secret_value()) == ("second", "edited-secret")
    assert now.scope == "edited"
    assert not file.path.exists()


async def test_a_token_that_cannot_be_stored_waits_on_this_machine(saved: ItwinCredentials, file: TokenFile) -> None:
    """If the Prefect server is unreachable, storing fails, and the next caller on this machine has the token."""
    tokens = tokens_of(saved, file)
    used = await tokens.load()
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(TransientError, match="could not be stored in the block") as caught,
    ):
        await tokens.replace(used, "second-token")
    assert "second-token" not in str(caught.value)
    assert str(file.path) in str(caught.value)
    later = tokens_of(saved, file)
    assert await later.load() == "second-token"
    await later.replace("second-token", "third-token")
    latest = tokens_of(saved, file)
    assert await latest.load() == "third-token"
    await latest.replace("third-token", "fourth-token")
    assert not file.path.exists()


async def test_a_late_write_does_not_restore_a_used_token(
    saved: ItwinCredentials, file: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server stores a token late, after another process used it, its replacement is still found."""
    late, on_its_way, arrives = tokens_of(saved, file), asyncio.Event(), asyncio.Event()
    put = PrefectClient.update_block_document

    async def put_late(*arguments: Any, **more: Any) -> None:
        on_its_way.set()
        await arrives.wait()
        await put(*arguments, **more)

    used = await late.load()
    with monkeypatch.context() as patched:
        patched.setattr(PrefectClient, "update_block_document", put_late)
        writing = asyncio.create_task(late.replace(used, "second"))
        await on_its_way.wait()
    other = tokens_of(saved, file)
    assert await other.load() == "second"
    await other.replace("second", "third")
    arrives.set()
    await writing
    assert revealed(await read_block()) == "second"
    assert await tokens_of(saved, file).load() == "third"


async def test_a_lease_taken_over_leaves_the_newest_token_in_the_file(saved: ItwinCredentials, file: TokenFile) -> None:
    """After taking over a stale lease the new token stays in the file too: the previous holder may resume."""
    async with get_client() as client:
        name = f"itwin_export_sign_in_{document_id_of(saved).hex}"
        await client.request("POST", "/variables/", json={"name": name, "value": {"beat": 1}})
    tokens = tokens_of(saved, file)
    tokens._lease = Lease(name, QUICK)  # pyright: ignore[reportPrivateUsage]
    async with tokens.exclusively():
        await tokens.replace(await tokens.load(), "second")
    assert file.successor_of("first") == "second"
    async with tokens.exclusively():
        await tokens.replace(await tokens.load(), "third")
    assert not file.path.exists()


async def test_an_old_waiting_token_does_not_overrule_the_block(saved: ItwinCredentials, file: TokenFile) -> None:
    """A token in the file is not used if the user signed in to the block again meanwhile."""
    file.keep("first", "stale")
    await saved.model_copy(update={"refresh_token": SecretStr("signed-in-anew")}).asave(NAME, overwrite=True)
    assert await tokens_of(saved, file).load() == "signed-in-anew"


async def test_a_block_without_a_token_asks_for_a_sign_in(saved: ItwinCredentials, file: TokenFile) -> None:
    """For a block without a token the error names the command to sign in."""
    await saved.model_copy(update={"refresh_token": None}).asave(NAME, overwrite=True)
    with pytest.raises(SignInRequiredError, match=f"itwin-export login --block {NAME}"):
        await tokens_of(saved, file).load()


async def test_a_deleted_block_is_named(saved: ItwinCredentials, file: TokenFile) -> None:
    """A deleted block is a configuration error."""
    tokens = tokens_of(saved, file)
    await cast("Any", ItwinCredentials).adelete(NAME)
    with pytest.raises(ConfigurationError, match=NAME):
        await tokens.load()
    await saved.asave(NAME)


async def test_the_lease_is_held_by_one_at_a_time() -> None:
    """Of ten tasks one at a time holds the lease, and no variable is left afterwards."""
    inside, most = 0, 0

    async def turn() -> None:
        nonlocal inside, most
        async with Lease("test_lease_one").held():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.02)
            inside -= 1

    await asyncio.gather(*(turn() for _ in range(10)))
    assert most == 1
    async with get_client() as client:
        assert await client.read_variable_by_name("test_lease_one") is None


async def test_a_holder_with_heartbeats_keeps_the_lease() -> None:
    """A holder that takes longer than `stale` keeps the lease, because it sends heartbeats."""
    order: list[str] = []
    entered = asyncio.Event()

    async def hold_long() -> None:
        async with Lease("test_lease_long", LIVELY).held():
            entered.set()
            await asyncio.sleep(LIVELY.stale * 2.5)
            order.append("holder")

    async def wait() -> None:
        await entered.wait()
        async with Lease("test_lease_long", LIVELY).held():
            order.append("waiter")

    await asyncio.gather(hold_long(), wait())
    assert order == ["holder", "waiter"]


async def test_an_unresponsive_server_makes_no_lease_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server does not respond, missing heartbeats do not make a lease stale."""
    read = PrefectClient.read_variable_by_name

    async def read_late(*arguments: Any, **more: Any) -> Any:
        try:
            return await read(*arguments, **more)
        finally:
            await asyncio.sleep(STALLED.stale)

    async def wait() -> None:
        async with Lease("test_lease_stall", STALLED).held():
            pass

    async with Lease("test_lease_stall", LeaseTimes(heartbeat=60)).held() as held:
        with monkeypatch.context() as patched:
            patched.setattr(PrefectClient, "read_variable_by_name", read_late)
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(STALLED.stale * 2.5)  # two reads, with more than `stale` seconds between them
        await held.heartbeat()  # fails if another process has taken over
    await waiting


async def test_a_heartbeat_that_hangs_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats continue while one hangs, and its late response does not reset the time of the last one."""
    send = PrefectClient.request
    hung, goes_on, answered, answered_late = (asyncio.Event() for _ in range(4))

    async def hang_once(*arguments: Any, **more: Any) -> Any:
        if "PATCH" not in arguments:
            return await send(*arguments, **more)
        hangs = not hung.is_set()
        hung.set()
        if hangs:
            await goes_on.wait()
        answer = await send(*arguments, **more)
        (answered_late if hangs else answered).set()
        return answer

    monkeypatch.setattr(PrefectClient, "request", hang_once)
    async with Lease("test_lease_hung", LIVELY).held() as held, asyncio.timeout(30):
        taken_at = held.last_heartbeat
        await answered.wait()
        await asyncio.sleep(0)
        assert (before := held.last_heartbeat) > taken_at
        goes_on.set()
        await answered_late.wait()
        await asyncio.sleep(0)
        assert held.last_heartbeat >= before


async def test_a_stale_lease_is_taken_over() -> None:
    """A lease without heartbeats is taken over."""
    async with get_client() as client:
        variable = await client.request("POST", "/variables/", json={"name": "test_lease_dead", "value": {"beat": 1}})
    assert variable.is_success
    async with Lease("test_lease_dead", QUICK).held() as held:
        assert str(held.variable_id) != variable.json()["id"]


async def test_waiting_for_the_lease_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting process tries to create the variable once and then only reads it."""
    create = PrefectClient.create_variable
    asked = 0

    async def create_counted(*arguments: Any, **more: Any) -> Any:
        nonlocal asked
        asked += 1
        return await create(*arguments, **more)

    async with Lease("test_lease_seen", LeaseTimes()).held():
        monkeypatch.setattr(PrefectClient, "create_variable", create_counted)
        with pytest.raises(TransientError, match="test_lease_seen"):
            async with Lease("test_lease_seen", LeaseTimes(timeout=2)).held():
                pytest.fail("two held the lease")
    assert asked == 1


async def test_waiting_for_the_lease_times_out() -> None:
    """After the timeout the error names the variable."""
    async with Lease("test_lease_busy", QUICK).held():
        with pytest.raises(TransientError, match="test_lease_busy"):
            async with Lease("test_lease_busy", LeaseTimes(heartbeat=9, stale=9, timeout=0.5)).held():
                pytest.fail("two held the lease")


async def test_a_holder_that_lost_the_lease_does_not_go_on() -> None:
    """A process that was suspended until another one took over must not use the token."""
    async with Lease("test_lease_still", LeaseTimes(heartbeat=9, stale=0.4)).held() as held:
        await asyncio.sleep(0.5)
        async with Lease("test_lease_still", QUICK).held():
            with pytest.raises(TransientError, match="was suspended"):
                await held.check()


async def test_a_slow_holder_that_kept_the_lease_goes_on() -> None:
    """A process that was suspended, but not replaced, renews the lease and keeps it."""
    async with Lease("test_lease_slow", LeaseTimes(heartbeat=9, stale=0.4)).held() as held:
        acquired_at = held.last_heartbeat
        await asyncio.sleep(0.5)
        await held.check()
        assert held.last_heartbeat >= acquired_at + 0.5
