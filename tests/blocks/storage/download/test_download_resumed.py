"""One big blob: what is kept between attempts, and what the disk and the log see."""

import asyncio
import errno
import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import (
    DiskError,
    InterruptedTransferError,
)
from blocks.signed_url import SignedUrl
from blocks.storage.download.download import download
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.download.source import BlobProperties
from blocks.storage.renewable_link import fixed_link
from blocks.storage.retry import RetryPolicy
from tests.blocks.storage.download.downloading import (
    CHUNK,
    CONTENT,
    HASTY,
    Options,
    Source,
    both,
    content,
    fetch,
    names_in,
)
from tests.blocks.storage.download.fault_server import FaultServer


async def test_resumes(tmp_path: Path) -> None:
    """A second attempt fetches only the chunks the first one did not finish."""
    faults = ["", "", "", "", "", *["server error"] * 5]
    async with FaultServer(CONTENT, faults=faults).serve() as server:
        with pytest.raises(InterruptedTransferError):
            await fetch(server, tmp_path / "model.ifc", options=Options(workers=1))
        server.requested.clear()
        seen: list[tuple[int, int]] = []

        def tell(here: int, in_all: int) -> None:
            seen.append((here, in_all))

        file = await fetch(server, tmp_path / "model.ifc", options=Options(workers=1, on_progress=tell))
    assert content(file) == CONTENT
    assert server.requested.total() == 5
    assert (seen[0], seen[-1]) == ((6 * CHUNK, len(CONTENT)), (len(CONTENT), len(CONTENT)))


@pytest.mark.parametrize(
    "damage", [{"etag": '"v0"'}, {"size": 5}, {"chunk_size": 5}, {"md5": "00"}, {"finished": "all"}, None]
)
async def test_foreign_journal(damage: dict[str, Any] | None, tmp_path: Path) -> None:
    """A journal of another version, or a garbled one, is not believed."""
    target = tmp_path / "model.ifc"
    checkpoint = {"format": 1, "etag": '"v1"', "size": len(CONTENT), "md5": None, "chunk_size": CHUNK}
    text = "{" if damage is None else json.dumps(checkpoint | {"finished": [0, 1, 2]} | damage)
    (tmp_path / "model.ifc.part.json").write_text(text)
    (tmp_path / "model.ifc.part").write_bytes(b"?" * len(CONTENT))
    async with FaultServer(CONTENT).serve() as server:
        file = await fetch(server, target)
    assert content(file) == CONTENT


async def test_no_etag(tmp_path: Path) -> None:
    """Without an ETag the file arrives, but nothing kept is trusted."""
    (tmp_path / "model.ifc.part").write_bytes(b"?" * len(CONTENT))
    checkpoint = {"format": 1, "etag": None, "size": len(CONTENT), "md5": None, "chunk_size": CHUNK}
    (tmp_path / "model.ifc.part.json").write_text(json.dumps(checkpoint | {"finished": [0, 1]}))
    async with FaultServer(CONTENT, etag=None).serve() as server:
        file = await fetch(server, tmp_path / "model.ifc")
    assert content(file) == CONTENT


@both
async def test_cancel(make_source: Source, tmp_path: Path) -> None:
    """A cancelled download leaves the part and its journal, which holds neither link nor signature."""
    server = FaultServer(CONTENT, faults=["", "", "", *["stall"] * 9])
    async with server.serve():
        attempt = asyncio.create_task(fetch(server, tmp_path / "model.ifc", make_source, Options(workers=1)))
        await server.stalled.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    note = (tmp_path / "model.ifc.part.json").read_text()
    assert json.loads(note)["finished"] == [0, 1, 2]
    assert "sig" not in note
    assert "127.0.0.1" not in note
    assert names_in(tmp_path) == ["model.ifc.part", "model.ifc.part.json"]


@both
async def test_secrets(make_source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither error nor log shows the signature, however chatty the log."""
    caplog.set_level(logging.DEBUG)
    async with FaultServer(CONTENT, every_fault="truncated").serve() as server:
        with pytest.raises(InterruptedTransferError) as caught:
            await fetch(server, tmp_path / "model.ifc", make_source, Options(retry_policy=RetryPolicy(attempts=1)))
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "secret" not in text


async def test_pause_asked_for(tmp_path: Path) -> None:
    """A server's wish for an hour's pause is cut to the longest we grant."""
    async with FaultServer(CONTENT, faults=["busy for long"]).serve() as server:
        file = await fetch(server, tmp_path / "model.ifc")
    assert content(file) == CONTENT


async def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one sentence that names the folder and the next step."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", refuse)
    async with FaultServer(CONTENT).serve() as server:
        with pytest.raises(DiskError, match=f"{tmp_path} is on a full disk. Free some space"):
            await fetch(server, tmp_path / "model.ifc")


async def test_too_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that cannot hold the file is refused before the first range is asked for."""

    def measure(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=0)

    monkeypatch.setattr("shutil.disk_usage", measure)
    async with FaultServer(CONTENT).serve() as server:
        with pytest.raises(DiskError, match="Free some space"):
            await fetch(server, tmp_path / "model.ifc")
    assert server.requested.total() == 0


async def test_portable_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no `pwrite` the same file comes out."""
    monkeypatch.delattr("os.pwrite")
    async with FaultServer(CONTENT).serve() as server:
        file = await fetch(server, tmp_path / "model.ifc")
    assert content(file) == CONTENT


async def test_facts() -> None:
    """Size and digest that the server names for a file are reported."""
    server = FaultServer(CONTENT)
    server.promise_md5()
    async with server.serve(), HttpRanges(fixed_link(SignedUrl(server.link()))) as source:
        properties = await source.properties()
    assert properties.size == len(CONTENT)
    assert properties.md5 == hashlib.md5(CONTENT, usedforsecurity=False).digest()


async def test_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credential is sent to the storage host, even if .netrc offers one."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with FaultServer(CONTENT).serve() as server:
        await fetch(server, tmp_path / "model.ifc")
    assert not any(b"authorization" in request.lower() for request in server.requests)


class Overflowing:
    """A source whose first answer to the first range does not stop where it should, once the second is in."""

    chunk_size = 2 * 1024 * 1024

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._second_is_in = asyncio.Event()
        self._has_overflown = False

    async def properties(self) -> BlobProperties:
        return BlobProperties(len(self._content), '"v1"')

    async def read(self, start: int, length: int, properties: BlobProperties) -> AsyncGenerator[bytes]:
        del properties
        if start:
            yield self._content[start : start + length]
            return
        await self._second_is_in.wait()
        if not self._has_overflown:
            self._has_overflown = True
            yield bytes(length - 1)
            yield bytes(length)
        yield self._content[:length]

    async def renew(self) -> None:
        raise AssertionError

    def note(self, here: int, in_all: int) -> None:
        assert here <= in_all
        self._second_is_in.set()


async def test_overflow(tmp_path: Path) -> None:
    """Bytes beyond the range asked for never reach the neighbour that is already there."""
    wanted = hashlib.shake_128(b"large").digest(4 * 1024 * 1024)
    source = Overflowing(wanted)
    file = await download(source, tmp_path / "model.ifc", workers=2, on_progress=source.note, retry_policy=HASTY)
    assert content(file) == wanted
