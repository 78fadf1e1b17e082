"""A blob that is stored compressed is checked as it is stored and kept decoded."""

import base64
import gzip
import hashlib
from pathlib import Path

import pytest

from blocks.errors import ContentError
from tests.blocks.storage.download.downloading import CONTENT, Source, both, content, fetch, names_in
from tests.blocks.storage.download.fault_server import FaultServer

STORED = gzip.compress(CONTENT[:50_000]) + gzip.compress(CONTENT[50_000:])  # as parallel compressors write it


@both
@pytest.mark.parametrize("has_md5", [True, False])
async def test_compressed(make_source: Source, has_md5: bool, tmp_path: Path) -> None:
    """The file is the decoded one, each range is asked for once, and the MD5 is that of the stored bytes."""
    server = FaultServer(STORED, encoding="gzip")
    if has_md5:
        server.promise_md5()
    async with server.serve():
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == CONTENT
    assert (file.size, file.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert file.stored_size == len(STORED)
    assert file.md5 == (base64.b64decode(server.md5) if has_md5 else None)
    assert max(server.requested.values()) == 1
    assert names_in(tmp_path) == ["model.ifc"]


@both
async def test_fault_in_a_range(make_source: Source, tmp_path: Path) -> None:
    """A range that comes broken, or in another encoding, is fetched again alone."""
    async with FaultServer(STORED, encoding="gzip", faults=["", "truncated", "encoded", "flip"]).serve() as server:
        server.promise_md5()
        file = await fetch(server, tmp_path / "model.ifc", make_source)
    assert content(file) == CONTENT


@pytest.mark.parametrize(
    ("stored", "encoding", "complaint", "ranges"),
    [
        (CONTENT, "br", "'br', which cannot be decoded", 0),
        (CONTENT, "gzip", "cannot be decoded", 1),
        (STORED[:-9], "gzip", "ends too early", 1),
    ],
    ids=["brotli", "plain", "cut"],
)
async def test_never_better(stored: bytes, encoding: str, complaint: str, ranges: int, tmp_path: Path) -> None:
    """What can never be decoded is refused, not asked for again, and nothing of it is kept."""
    server = FaultServer(stored, encoding=encoding)
    server.promise_md5()
    async with server.serve():
        with pytest.raises(ContentError, match=complaint):
            await fetch(server, tmp_path / "model.ifc")
    assert max(server.requested.values(), default=0) == ranges
    assert names_in(tmp_path) == []
