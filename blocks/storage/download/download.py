"""Fetch one big blob into a file, in ranges: no wrong byte passes, no finished byte is fetched twice."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from blocks.disk import PartFile, disk_errors, replace, require_room, sync_folder
from blocks.errors import ContentError, DiskError, ExportError, InterruptedTransferError
from blocks.storage.content_encoding import DecodeError, decode_file, require_decodable
from blocks.storage.download.checkpoint import ChunkCheckpoint
from blocks.storage.download.source import RangeSource
from blocks.storage.retry import BlobChangedError, RetryPolicy, retry

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes in all."""

WORKERS, MORE_WORKERS = 8, 16
SLOW_FIRST_BYTE = 0.03
"""Seconds: with a longer way to the host twice the workers pay (6 times one connection at 44 ms)."""
VERSIONS = 3
"""How often a blob may change, or fail its MD5, before that is the answer."""

_WRITE_SIZE = 1024 * 1024
_SAVE_SECONDS = 2.0
_DISK_THREADS = 3


class _DigestError(ContentError):
    """All bytes came and are not what the server promised, by their MD5 or their encoding."""


@dataclass(frozen=True)
class DownloadedFile:
    """A file that arrived whole; `md5` only when the server promised one, and then it is that one.

    Attributes:
        stored_size: Bytes at the server; others than `size` where the blob is compressed. So is `md5` of those.
    """

    path: Path
    size: int
    sha256: str
    md5: bytes | None
    etag: str | None
    stored_size: int


async def download(
    source: RangeSource,
    target: Path,
    *,
    chunk_size: int | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
    retry_policy: RetryPolicy | None = None,
) -> DownloadedFile:
    """Fetch the blob to `target`; until it is whole there is only a `.part` and its journal.

    A blob without an ETag cannot be resumed. Without an MD5 a bit that flips on the way (under TLS: inside
    the server) goes unnoticed; for IFC the content check catches some. One download per target at a time.
    A blob that is stored compressed (Content-Encoding) is checked as it is stored and kept decoded.

    Args:
        source: The blob.
        target: The file to write, on the disk where it will stay.
        chunk_size: Bytes per request; by default what the source says.
        workers: Requests at once; by default 8, or 16 when the host is far away.
        on_progress: Told after each chunk.
        retry_policy: Retries of one range.

    Raises:
        InterruptedTransferError, LinkExpiredError: What has arrived is kept for the next call.
        ContentError: The bytes are not those whose MD5 the server promised.
        NotFoundError: The blob is gone.
        DiskError: The disk refuses the data.
    """
    steady = retry_policy or RetryPolicy()
    for version in range(1, VERSIONS + 1):
        properties = await _named(target, retry(source.properties, source.renew, steady))
        require_decodable(properties.encoding, target.name)
        transfer = _Transfer(
            source, target, ChunkCheckpoint(properties, chunk_size or source.chunk_size), steady, on_progress
        )
        try:
            return await _named(target, transfer.run(workers))
        except (BlobChangedError, _DigestError):
            transfer.forget()
            if version == VERSIONS:
                raise
    raise AssertionError


async def _named(target: Path, step: Awaitable[T]) -> T:
    """Say which file it was and that nothing is lost."""
    try:
        return await step
    except BlobChangedError as error:
        raise BlobChangedError(f"{target.name}: {error}") from None
    except InterruptedTransferError as error:
        raise InterruptedTransferError(
            f"{target.name}: {error} What has arrived is kept; run the same again to go on from there."
        ) from None


class _Digests:
    """SHA-256 (and MD5 where it will be compared) of a file that grows, fed in order."""

    def __init__(self, path: Path, *, with_md5: bool) -> None:
        self._path = path
        self._offset = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    def advance(self, until: int) -> None:
        """Read on from where the last call stopped; what was just written is still in memory."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            while self._offset < until and (block := file.read(min(_WRITE_SIZE, until - self._offset))):
                self._sha256.update(block)
                if self._md5:
                    self._md5.update(block)
                self._offset += len(block)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def md5(self) -> bytes | None:
        return self._md5.digest() if self._md5 else None


class _Transfer:
    """One attempt at one version of the blob."""

    def __init__(
        self,
        source: RangeSource,
        target: Path,
        checkpoint: ChunkCheckpoint,
        retry_policy: RetryPolicy,
        on_progress: Progress | None,
    ) -> None:
        self._source = source
        self._target = target
        self._properties = checkpoint.properties
        self._retry_policy = retry_policy
        self._tell = on_progress
        self._part = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._checkpoint = checkpoint
        self._digests = _Digests(self._part, with_md5=checkpoint.properties.md5 is not None)
        self._disk = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="disk")
        self._saved_at = time.monotonic()

    async def run(self, workers: int | None) -> DownloadedFile:
        held = ExitStack()
        try:
            file = await self._on_disk(self._open, held)
            await self._fetch_missing(file, workers or await self._choose_workers())
            await self._on_disk(file.sync)
            held.close()
            return await self._on_disk(self._finish)
        finally:
            self._disk.shutdown()  # who is cancelled while the file is being opened has to close it too
            held.close()

    def forget(self) -> None:
        """Throw away what was kept of a version that is no more."""
        with disk_errors(self._target.parent):
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)

    async def _on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        """Run blocking disk work beside the event loop, in few threads of our own."""
        with disk_errors(self._target.parent):
            return await asyncio.get_running_loop().run_in_executor(self._disk, partial(work, *arguments))

    def _open(self, held: ExitStack) -> PartFile:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        self._checkpoint = ChunkCheckpoint.load(self._note, self._part, self._properties, self._checkpoint.chunk_size)
        require_room(self._part.parent, self._properties.size - self._checkpoint.finished_bytes)
        return held.enter_context(PartFile(self._part, self._properties.size))

    async def _choose_workers(self) -> int:
        """Time one more small request, now that a connection is open."""
        if len(list(self._checkpoint.missing)) <= WORKERS:
            return WORKERS
        asked_at = time.monotonic()
        await retry(self._source.properties, self._source.renew, self._retry_policy)
        return MORE_WORKERS if time.monotonic() - asked_at > SLOW_FIRST_BYTE else WORKERS

    async def _fetch_missing(self, file: PartFile, workers: int) -> None:
        """Every missing chunk, the hashes following close behind; the journal is saved however this ends."""
        missing = iter(list(self._checkpoint.missing))
        moved = asyncio.Event()

        async def work() -> None:
            for index in missing:
                await retry(partial(self._fetch, file, index), self._source.renew, self._retry_policy)
                self._checkpoint.finished.add(index)
                moved.set()
                await self._report(file)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
                group.create_task(self._follow(moved))
        except ExceptionGroup as faults:
            raise _worst(faults) from None
        finally:
            with suppress(DiskError):
                await self._on_disk(self._save, file, frozenset(self._checkpoint.finished))

    async def _fetch(self, file: PartFile, index: int) -> None:
        """One chunk; more bytes than asked for are refused before they are written."""
        start, length = self._checkpoint.extent(index)
        offset, held, size = start, list[bytes](), 0
        async with aclosing(self._source.read(start, length, self._properties)) as pieces:
            async for piece in pieces:
                held.append(piece)
                size += len(piece)
                if offset + size > start + length:
                    raise InterruptedTransferError("The host sent more bytes than the range asked for.")
                if size >= _WRITE_SIZE:
                    await self._on_disk(file.write, offset, held)
                    offset, held, size = offset + size, [], 0
        if offset + size != start + length:
            missing = start + length - offset - size
            raise InterruptedTransferError(f"The body ended {missing} bytes too early.")
        await self._on_disk(file.write, offset, held)

    async def _follow(self, moved: asyncio.Event) -> None:
        """Hash the unbroken beginning of the file as it grows."""
        reached = 0
        while True:
            moved.clear()
            while reached in self._checkpoint.finished:
                reached += 1
            await self._on_disk(
                self._digests.advance, min(reached * self._checkpoint.chunk_size, self._properties.size)
            )
            if reached == self._checkpoint.count:
                return
            await moved.wait()

    async def _report(self, file: PartFile) -> None:
        if self._tell:
            self._tell(self._checkpoint.finished_bytes, self._properties.size)
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._saved_at = time.monotonic()
            await self._on_disk(self._save, file, frozenset(self._checkpoint.finished))

    def _save(self, file: PartFile, finished: frozenset[int]) -> None:
        """First the bytes, then the note that they are there: true even after a power cut."""
        file.sync()
        ChunkCheckpoint(self._properties, self._checkpoint.chunk_size, set(finished)).save(self._note)

    def _finish(self) -> DownloadedFile:
        if self._digests.md5 != self._properties.md5:
            raise _DigestError(
                f"{self._target.name}: all bytes came, but their MD5 is not the one the server promised. "
                "Run the same again; if it stays so, export the iModel again."
            )
        size, sha256 = self._properties.size, self._digests.sha256
        if self._properties.encoding:
            size, sha256 = self._decode(self._properties.encoding)
        replace(self._part, self._target)
        self._note.unlink(missing_ok=True)
        sync_folder(self._target.parent)
        properties = self._properties
        return DownloadedFile(self._target, size, sha256, self._digests.md5, properties.etag, properties.size)

    def _decode(self, encoding: str) -> tuple[int, str]:
        """Exchange the stored bytes for the decoded ones; returns size and SHA-256 of those."""
        decoded = self._part.with_name(f"{self._part.name}.decoded")
        try:
            size, sha256 = decode_file(self._part, decoded, encoding)
        except DecodeError as error:
            self.forget()
            kind = ContentError if self._properties.md5 else _DigestError  # with the right MD5 they stay as they are
            raise kind(
                f"{self._target.name} is stored with Content-Encoding {encoding}, but its bytes cannot be decoded: "
                f"{error}. Export the iModel again."
            ) from None
        self._note.unlink(missing_ok=True)
        replace(decoded, self._part)
        return size, sha256


def _worst(faults: ExceptionGroup[Exception]) -> Exception:
    """The fault that decides what to do next: one that retrying does not cure goes first."""
    return min(faults.exceptions, key=lambda fault: isinstance(fault, ExportError) and fault.is_transient)
