"""Refresh tokens in private files."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.errors import DiskError
from blocks.itwin.auth.token_file import KEPT, EnvironmentTokens, TokenFile


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "itwin-export", "https://ims.bentley.com", "native-1")


def tokens_of(file: TokenFile, first: str = "first") -> tuple[EnvironmentTokens, list[str]]:
    said: list[str] = []
    return EnvironmentTokens(SecretStr(first), file, said.append), said


def test_only_the_owner_can_read_the_file(file: TokenFile) -> None:
    """File and folder are accessible to their owner only, for any umask (on Windows by the profile's ACL)."""
    old = os.umask(0)
    try:
        file.keep("first", "second")
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file.path, file.path.parent)]
    assert modes == ([0o600, 0o700] if os.name == "posix" else modes)


async def test_the_newest_token_survives_the_process(file: TokenFile) -> None:
    """A later process with the same environment uses the newest token."""
    earlier, _ = tokens_of(file)
    await earlier.replace("first", "second")
    await earlier.replace("second", "third")
    later, _ = tokens_of(file)
    assert await later.load() == "third"


async def test_a_token_newly_set_in_the_environment_wins(file: TokenFile) -> None:
    """A new token in the environment takes precedence over an old file."""
    earlier, _ = tokens_of(file)
    await earlier.replace("first", "second")
    later, _ = tokens_of(file, "signed-in-anew")
    assert await later.load() == "signed-in-anew"


async def test_two_users_of_one_application_do_not_disturb_each_other(file: TokenFile) -> None:
    """Replacements of different first tokens are stored side by side."""
    ada, _ = tokens_of(file, "ada-1")
    ben, _ = tokens_of(file, "ben-1")
    await ada.replace("ada-1", "ada-2")
    await ben.replace("ben-1", "ben-2")
    assert (await ada.load(), await ben.load()) == ("ada-2", "ben-2")


def test_every_replaced_token_leads_to_the_newest(file: TokenFile) -> None:
    """The newest replacement is found for each token it replaced, directly or not."""
    for token, newest in (("first", "second"), ("second", "third"), ("third", "fourth")):
        file.keep(token, newest)
    assert [file.successor_of(token) for token in ("first", "second", "third")] == ["fourth"] * 3


def test_old_sign_ins_are_forgotten(file: TokenFile) -> None:
    """The file stores a limited number of sign-ins."""
    for number in range(KEPT + 3):
        file.keep(f"first-{number}", f"newest-{number}")
    assert file.successor_of("first-0") is None
    assert file.successor_of(f"first-{KEPT + 2}") == f"newest-{KEPT + 2}"


async def test_it_is_said_once_where_the_token_is(file: TokenFile) -> None:
    """The log names the file of the newest token once, and never the token."""
    tokens, said = tokens_of(file)
    await tokens.replace("first", "second-secret")
    await tokens.replace("second-secret", "third-secret")
    (sentence,) = said
    assert str(file.path) in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_an_unreadable_file_counts_as_none(file: TokenFile, content: bytes) -> None:
    """A damaged file is ignored."""
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.successor_of("first") is None


def test_no_token_stands_in_the_name_of_the_file(file: TokenFile) -> None:
    """The file's name is a hash of its owner."""
    file.keep("first", "second")
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]
    assert "native-1" not in file.path.name


async def test_what_cannot_be_kept_leaves_the_old_state(file: TokenFile) -> None:
    """If the new token cannot be written, that is an error and the old one stays readable."""
    tokens, said = tokens_of(file)
    await tokens.replace("first", "second")
    said.clear()
    before = file.path.read_bytes()
    elsewhere = TokenFile(
        file.path / "below-a-file", "owner"
    )  # no folder can be created below a file, not even by root
    with pytest.raises(DiskError):
        elsewhere.keep("first", "third")
    assert file.path.read_bytes() == before
    assert said == []


async def test_the_file_is_used_by_one_caller_at_a_time(file: TokenFile) -> None:
    """While one holds the lock, the other waits; it is free again afterwards."""
    order: list[str] = []

    async def turn(name: str) -> None:
        tokens, _ = tokens_of(file)
        async with tokens.exclusively():
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(turn("a"), turn("b"))
    assert order in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])
