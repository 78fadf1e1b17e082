"""The access token of a service application, kept between commands."""

import json
import stat
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from blocks.itwin.auth.access_tokens import AccessTokens
from blocks.itwin.auth.saved_token import SavedToken
from blocks.itwin.auth.token_endpoint import Identity
from tests.blocks.itwin.platform import API, HOSTS, ISSUER, FakeTime, Server, answer, transport_to

SERVICE = Identity(issuer_url=ISSUER, client_id="service-1", client_secret=SecretStr("s3cret-of-the-service"))
DISCOVERY = "/.well-known/openid-configuration"


def issuer(*tokens: str) -> Server:
    """A sign-in service that issues these tokens in turn."""
    left = list(tokens)

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == DISCOVERY:
            return answer(status=404)
        return answer({"access_token": left.pop(0), "expires_in": 3600, "token_type": "Bearer"})

    return Server([serve])


def tokens_of(server: Server, saved: SavedToken) -> AccessTokens:
    """The tokens of a process that has just started."""
    return AccessTokens(SERVICE, transport_to(server), HOSTS, saved=saved, clock=FakeTime())


async def test_the_next_command_does_not_sign_in(tmp_path: Path) -> None:
    """A second process uses the saved token without signing in, and signs in once the platform rejects that token."""
    first = await tokens_of(issuer("token-number-1"), SavedToken(tmp_path, SERVICE, API)).token()
    server = issuer("token-number-2")
    second = tokens_of(server, SavedToken(tmp_path, SERVICE, API))
    assert (first, await second.token(), server.requests) == ("token-number-1", "token-number-1", [])
    assert await second.token(rejected=first) == "token-number-2"
    assert await tokens_of(issuer(), SavedToken(tmp_path, SERVICE, API)).token() == "token-number-2"


async def test_a_saved_token_is_private_and_encrypted(tmp_path: Path) -> None:
    """The file has mode 0600 and holds neither the token nor the secret."""
    saved = SavedToken(tmp_path / "home", SERVICE, API)
    saved.keep("token-number-1", 3000)
    content = saved.path.read_bytes()
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.path.parent.stat().st_mode) == 0o700
    assert b"token-number-1" not in content
    assert b"s3cret" not in content


@pytest.mark.parametrize(
    "other", [{"client_secret": SecretStr("another secret")}, {"client_id": "service-2"}, {"scope": "other"}]
)
def test_a_saved_token_serves_its_own_caller_only(tmp_path: Path, other: dict[str, object]) -> None:
    """Another secret, client or scope does not open it, and neither does another API."""
    SavedToken(tmp_path, SERVICE, API).keep("token-number-1", 3000)
    assert SavedToken(tmp_path, SERVICE.model_copy(update=other), API).load() is None
    assert SavedToken(tmp_path, SERVICE, f"{API}.other").load() is None


def test_a_saved_token_ends_with_its_lifetime(tmp_path: Path) -> None:
    """It is used until its lifetime is over, and not by a clock that was set back before it was saved."""
    SavedToken(tmp_path, SERVICE, API, now=lambda: 1000.0).keep("token-number-1", 3000)
    at = {now: SavedToken(tmp_path, SERVICE, API, now=lambda now=now: now).load() for now in (999.0, 3999.0, 4000.0)}
    assert at == {999.0: None, 3999.0: ("token-number-1", 1.0), 4000.0: None}


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"gAAAA", b"x" * 100_000])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """A file that was cut, damaged or made too large is no token, and is replaced by the next one."""
    saved = SavedToken(tmp_path, SERVICE, API)
    saved.path.write_bytes(content)
    assert saved.load() is None
    saved.keep("token-number-1", 3000)
    assert saved.load() is not None


async def test_a_folder_that_cannot_be_written_costs_a_sign_in_only(tmp_path: Path) -> None:
    """Where nothing can be kept, each command signs in."""
    (tmp_path / "file").write_text(json.dumps({}))
    saved = SavedToken(tmp_path / "file", SERVICE, API)
    assert await tokens_of(issuer("token-number-1"), saved).token() == "token-number-1"
    assert saved.load() is None
