"""Saved blocks, read from a real Prefect server."""

import asyncio

import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.itwin.credentials import ItwinCredentials
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.seed import SEEDED
from deployments.sandbox.state.tokens import Grant
from tasks.load_blocks import SHARED_SECONDS, SharedReads, load_credentials, sharing_blocks
from tests.blocks.itwin.platform import FakeTime

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]
USER_SCOPES = (SCOPE, "offline_access")


async def save(name: str, client_id: str) -> None:
    block = ItwinCredentials(client_id=client_id, client_secret=SecretStr("s3cret-of-the-service"))
    await block.asave(name, overwrite=True)


async def test_exports_of_a_batch_read_a_block_once_a_minute() -> None:
    """Exports that begin together share one block, one that begins a minute later sees what was changed meanwhile."""
    await save("shared-credentials", "first")
    clock = FakeTime()
    with sharing_blocks(SharedReads(clock)):
        first, second = await asyncio.gather(*(load_credentials("shared-credentials") for _ in range(2)))
        await save("shared-credentials", "changed")
        within_a_minute = await load_credentials("shared-credentials")
        clock.now += SHARED_SECONDS + 1
        later = await load_credentials("shared-credentials")
    assert first is second
    assert within_a_minute is first
    assert (first.client_id, later.client_id) == ("first", "changed")
    assert await load_credentials("shared-credentials") is not later


async def test_a_block_that_is_missing_is_looked_for_in_each_batch() -> None:
    """An error says what is saved, and the next batch finds a block that was saved after it."""
    with sharing_blocks(SharedReads()), pytest.raises(ConfigurationError, match="Saved ones"):
        await load_credentials("saved-too-late")
    await save("saved-too-late", "first")
    with sharing_blocks(SharedReads()):
        assert (await load_credentials("saved-too-late")).client_id == "first"


async def test_a_rotating_refresh_token_is_not_shared(sandbox: RunningSandbox) -> None:
    """A block that was read once signs in again and again: each time with the token that the server's block holds."""
    tokens = sandbox.state.tokens
    block = ItwinCredentials(
        authentication_type="User",
        client_id=IDENTITY.web.id,
        client_secret=SecretStr(IDENTITY.web.secret or ""),
        refresh_token=SecretStr(tokens.mint_refresh_token(Grant(IDENTITY.web.id, IDENTITY.user, USER_SCOPES))),
        api_url=sandbox.url,
        issuer_url=sandbox.url,
    )
    await block.asave("ada-in-a-batch", overwrite=True)
    with sharing_blocks(SharedReads()):
        for _ in range(3):
            tokens.revoke_access_tokens()
            async with (await load_credentials("ada-in-a-batch")).get_client() as itwin:
                await itwin.imodels.get_latest_changeset(SEEDED.bridge)
    signed_in = [entry.status for entry in sandbox.state.log if entry.path == "/connect/token"]
    saved = (await load_credentials("ada-in-a-batch")).refresh_token
    assert signed_in == [200, 200, 200]
    assert saved is not None
    assert saved.get_secret_value() in tokens.refresh_tokens
