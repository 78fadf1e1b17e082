"""One big blob: whatever the server does, the file is right or there is none."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.errors import (
    ContentError,
    InterruptedTransferError,
    LinkExpiredError,
    LinkRefusedError,
    NotFoundError,
    TransferError,
)
from blocks.signed_url import SignedUrl
from blocks.storage.retry import RetryPolicy
from tests.blocks.storage.download.downloading import (
    CHUNK,
    CONTENT,
    OTHER,
    Options,
    Source,
    azure,
    both,
    content,
    fetch,
    names_in,
)
from tests.blocks.storage.download.fault_server import FAULTS, FaultServer


@both
async def test_whole(make_source: Source, tmp_path: Path) -> None:
    """A file arrives whole, hashed, with nothing left beside it."""
    server = FaultServer(CONTENT)
    server.promise_md5()
    async with server.serve():
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == CONTENT
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert file.md5 == hashlib.md5(CONTENT, usedforsecurity=False).digest()
    assert (file.size, file.etag) == (len(CONTENT), '"v1"')
    assert names_in(tmp_path) == ["model.ifc"]


@both
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
async def test_sizes(make_source: Source, size: int, tmp_path: Path) -> None:
    """Empty files, files of one chunk and files at its edges arrive."""
    async with FaultServer(CONTENT[:size]).serve() as server:
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == CONTENT[:size]


@pytest.mark.parametrize("fault", [*FAULTS, "stall", "redirect"])
@both
async def test_one_fault(make_source: Source, fault: str, tmp_path: Path) -> None:
    """After any single fault the file is right, or an error says so and no file appears."""
    async with FaultServer(CONTENT, faults=["", "", fault]).serve() as server:
        try:
            file = await fetch(server, tmp_path / "model.ifc", make_source)
        except TransferError:
            assert fault == "redirect"
            assert "model.ifc" not in names_in(tmp_path)
        else:
            assert content(file) == CONTENT


@pytest.mark.parametrize("fault", ["short 206", "short body", "whole", "too long", "other range", "server error"])
async def test_lasting_fault(fault: str, tmp_path: Path) -> None:
    """A server that never answers rightly ends in an interruption, without a file."""
    async with FaultServer(CONTENT, every_fault=fault).serve() as server:
        with pytest.raises(InterruptedTransferError, match=r"model\.ifc: .*run the same again"):
            await fetch(server, tmp_path / "model.ifc")
    assert "model.ifc" not in names_in(tmp_path)


@pytest.mark.parametrize("fault", ["server error", "truncated", "reset"])
@both
async def test_requests_for_a_range_that_always_fails(make_source: Source, fault: str, tmp_path: Path) -> None:
    """A range that never arrives is requested as often as the retry policy says, and no other layer repeats it."""
    policy = RetryPolicy(attempts=2, first_pause=0.001, longest_pause=0.01)
    async with FaultServer(CONTENT, every_fault=fault).serve() as server:
        with pytest.raises(InterruptedTransferError) as caught:
            await fetch(server, tmp_path / "model.ifc", make_source, Options(workers=3, retry_policy=policy))
    assert max(server.requested.values()) == policy.attempts
    assert server.requested.total() <= 3 * policy.attempts
    assert caught.value.is_retried


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(st.sampled_from(["", *FAULTS, "flip", "forbidden"]), max_size=16),
    change=st.integers(-1, 12),
)
def test_never_wrong(faults: list[str], change: int) -> None:
    """No schedule of faults, bit flips and changes makes a wrong file (the server promises an MD5)."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_chaos(faults, change, Path(folder) / "model.ifc"))


async def _chaos(faults: list[str], change: int, target: Path) -> None:
    server = FaultServer(CONTENT, faults=faults, chunks_before_change=change)
    server.next_version = (CONTENT, '"v2"')
    server.promise_md5()
    async with server.serve():
        try:
            file = await fetch(server, target)
        except TransferError:
            assert target.name not in names_in(target.parent)
        else:
            assert content(file) == CONTENT


@both
async def test_bit_flip(make_source: Source, tmp_path: Path) -> None:
    """A flipped bit is noticed by the promised MD5 and the file fetched again."""
    server = FaultServer(CONTENT, faults=["", "flip"])
    server.promise_md5()
    async with server.serve():
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == CONTENT


async def test_bit_flips_for_ever(tmp_path: Path) -> None:
    """Bytes that never fit the promised MD5 are an error, and nothing of them is kept."""
    server = FaultServer(CONTENT, every_fault="flip")
    server.promise_md5()
    async with server.serve():
        with pytest.raises(ContentError, match="MD5"):
            await fetch(server, tmp_path / "model.ifc")
    assert names_in(tmp_path) == []


@both
@pytest.mark.parametrize("honours_if_match", [True, False])
async def test_replaced_midway(make_source: Source, honours_if_match: bool, tmp_path: Path) -> None:
    """A blob replaced midway is fetched anew; the versions never mix, even if If-Match is ignored."""
    server = FaultServer(CONTENT, honours_if_match=honours_if_match, chunks_before_change=4)
    server.next_version = (OTHER, '"v2"')
    async with server.serve():
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == OTHER
    assert file.etag == '"v2"'


@both
async def test_link_expires_midway(make_source: Source, tmp_path: Path) -> None:
    """A link that dies midway is renewed once for all workers, and no finished chunk is fetched again."""
    server = FaultServer(CONTENT, chunks_before_expiry=6)
    renewals: list[str] = []

    async def fetch_link() -> SignedUrl:
        await asyncio.sleep(0.01)
        signature = f"secret/{len(renewals)}+"
        server.signatures.add(signature)
        renewals.append(signature)
        return SignedUrl(server.link(signature))

    async with server.serve():
        file = await fetch(server, tmp_path / "model.ifc", make_source, Options(link=fetch_link))
    assert content(file) == CONTENT
    assert len(renewals) == 2
    assert max(server.requested.values()) == 1


@both
async def test_dead_link(make_source: Source, tmp_path: Path) -> None:
    """A dead link nobody can renew is an error that names the host and hides the signature."""
    async with FaultServer(CONTENT, signatures=set()).serve() as server:
        with pytest.raises(LinkExpiredError, match=r"127\.0\.0\.1 refuses the link") as caught:
            await fetch(server, tmp_path / "model.ifc", make_source)
    assert "sig" not in str(caught.value)


async def test_a_container_link_refused_for_good(tmp_path: Path) -> None:
    """A fresh link of the user's container that is refused like the last is not tried again; the error names it."""
    links: list[str] = []
    async with FaultServer(CONTENT, signatures=set()).serve() as server:

        async def fetch_link() -> SignedUrl:
            links.append(server.link(f"wrong/{len(links)}+"))
            return SignedUrl(links[-1])

        with pytest.raises(LinkRefusedError, match=r"refuses the link to container “container”") as caught:
            await fetch(server, tmp_path / "model.ifc", azure, Options(link=fetch_link))
    assert (len(links), len(server.requests), caught.value.is_transient) == (2, 2, False)


async def test_gone(tmp_path: Path) -> None:
    """A blob that is gone is not asked for again and again."""
    async with FaultServer(CONTENT, every_fault="gone").serve() as server:
        with pytest.raises(NotFoundError):
            await fetch(server, tmp_path / "model.ifc", options=Options(workers=1))
    assert server.requested.total() == 1
