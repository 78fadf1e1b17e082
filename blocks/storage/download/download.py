"""Download of one large blob in parallel ranges, with checks of every range and resumption after interruptions."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from blocks.content_encoding import DecodeError, decode_file, require_decodable
from blocks.disk import PartFile, disk_errors, replace, require_room, sync_folder
from blocks.errors import ContentError, DiskError, ExportError, InterruptedTransferError
from blocks.storage.download.checkpoint import ChunkCheckpoint
from blocks.storage.download.early_file import EarlyFile, NoEarlyFile
from blocks.storage.download.file_digests import FileDigests
from blocks.storage.download.http_source import STALL_SECONDS
from blocks.storage.download.source import RangeSource
from blocks.storage.download.timed_source import TimedSource
from blocks.storage.retry import BlobChangedError, RetryPolicy, retry

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the bytes downloaded and the total bytes."""

WORKERS, MORE_WORKERS = 8, 32
SLOW_FIRST_BYTE = 0.03
"""Response time in seconds above which more workers are faster (6 times one connection at 44 ms)."""
VERSIONS = 3
"""Attempts with a blob that changes, or does not match its MD5, before the error is raised."""

_WRITE_SIZE = 1024 * 1024
_SAVE_SECONDS = 2.0
_DISK_THREADS = 3


class _DigestError(ContentError):
    """The blob is complete, but does not match its MD5 or its encoding."""


@dataclass(frozen=True)
class DownloadedFile:
    """A complete downloaded file; `md5` is the server's digest, if it named one.

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
    answer_seconds: float = STALL_SECONDS,
    early: EarlyFile | None = None,
) -> DownloadedFile:
    """Download the blob to `target`; until it is complete there is only a `.part` file and its checkpoint.

    A blob without an ETag cannot be resumed. Without an MD5 a bit that flips on the way (under TLS: inside
    the server) goes unnoticed; for IFC the content check catches some. One download per target at a time.
    A blob that is stored compressed (Content-Encoding) is checked as it is stored and kept decoded.

    Args:
        source: Reads ranges of the blob.
        target: The file to write, on the disk where it will stay.
        chunk_size: Bytes per request; by default what the source says.
        workers: Concurrent requests; by default 8, or 32 if the host responds slowly.
        on_progress: Called after each chunk.
        retry_policy: Retries of one range request; nothing else repeats one.
        answer_seconds: Time limit of an answer without content; one with content has more, at `LEAST_SPEED`.
        early: Takes the file as it grows, unless it is stored compressed.

    Raises:
        InterruptedTransferError, LinkExpiredError: Finished chunks are kept for the next call.
        ContentError: The content does not match the server's MD5.
        NotFoundError: The blob does not exist.
        DiskError: The file cannot be written.
    """
    policy = retry_policy or RetryPolicy()
    source = TimedSource(source, answer_seconds)
    for version in range(1, VERSIONS + 1):
        properties = await _named(target, retry(source.properties, source.renew, policy))
        require_decodable(properties.encoding, target.name)
        checkpoint = ChunkCheckpoint(properties, chunk_size or source.chunk_size)
        taker = early if early and not properties.encoding else NoEarlyFile()
        taker.restart(target)
        transfer = _Transfer(source, target, checkpoint, policy, on_progress, taker)
        try:
            return await _named(target, transfer.run(workers))
        except (BlobChangedError, _DigestError):
            transfer.forget()
            if version == VERSIONS:
                raise
    raise AssertionError


async def _named(target: Path, step: Awaitable[T]) -> T:
    """Add the file's name to the error, and that finished parts are kept."""
    try:
        return await step
    except BlobChangedError as error:
        raise BlobChangedError(f"{target.name}: {error}") from None
    except InterruptedTransferError as error:
        named = InterruptedTransferError(
            f"{target.name}: {error} What has arrived is kept; run the same again to go on from there."
        )
        named.is_retried = error.is_retried
        raise named from None


class _Transfer:
    """One attempt at one version of the blob."""

    def __init__(
        self,
        source: RangeSource,
        target: Path,
        checkpoint: ChunkCheckpoint,
        retry_policy: RetryPolicy,
        on_progress: Progress | None,
        early: EarlyFile,
    ) -> None:
        self._source = source
        self._early = early
        self._target = target
        self._properties = checkpoint.properties
        self._retry_policy = retry_policy
        self._on_progress = on_progress
        self._part = target.with_name(f"{target.name}.part")
        self._checkpoint_path = target.with_name(f"{target.name}.part.json")
        self._checkpoint = checkpoint
        self._digests = FileDigests(self._part, with_md5=checkpoint.properties.md5 is not None)
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
            self._disk.shutdown()  # waits for a pending `_open`, so that a cancelled download closes its file
            held.close()

    def forget(self) -> None:
        """Delete the part file and checkpoint of an outdated version."""
        with disk_errors(self._target.parent):
            self._checkpoint_path.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)

    async def _on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        """Run a blocking disk operation in a small thread pool."""
        with disk_errors(self._target.parent):
            return await asyncio.get_running_loop().run_in_executor(self._disk, partial(work, *arguments))

    def _open(self, held: ExitStack) -> PartFile:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        self._checkpoint = ChunkCheckpoint.load(
            self._checkpoint_path, self._part, self._properties, self._checkpoint.chunk_size
        )
        require_room(self._part.parent, self._properties.size - self._checkpoint.finished_bytes)
        return held.enter_context(PartFile(self._part, self._properties.size))

    async def _choose_workers(self) -> int:
        """Measure the response time on an open connection to choose the number of workers."""
        if len(list(self._checkpoint.missing)) <= WORKERS:
            return WORKERS
        asked_at = time.monotonic()
        await retry(self._source.properties, self._source.renew, self._retry_policy)
        return MORE_WORKERS if time.monotonic() - asked_at > SLOW_FIRST_BYTE else WORKERS

    async def _fetch_missing(self, file: PartFile, workers: int) -> None:
        """Download the missing chunks and hash the file meanwhile; save the checkpoint also after an error."""
        missing = iter(list(self._checkpoint.missing))
        progressed = asyncio.Event()

        async def work() -> None:
            for index in missing:
                await retry(partial(self._fetch, file, index), self._source.renew, self._retry_policy)
                self._checkpoint.finished.add(index)
                progressed.set()
                await self._report(file)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
                group.create_task(self._follow(progressed))
        except ExceptionGroup as faults:
            raise _worst(faults) from None
        finally:
            with suppress(DiskError):
                await self._on_disk(self._save, file, frozenset(self._checkpoint.finished))

    async def _fetch(self, file: PartFile, index: int) -> None:
        """Download one chunk; excess bytes are rejected before they are written."""
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

    async def _follow(self, progressed: asyncio.Event) -> None:
        """Hash the contiguous start of the file as it grows."""
        reached = 0
        while True:
            progressed.clear()
            while reached in self._checkpoint.finished:
                reached += 1
            until = min(reached * self._checkpoint.chunk_size, self._properties.size)
            await self._on_disk(self._digests.advance, until)
            self._early.advance(self._target, self._part, until, self._properties.size)
            if reached == self._checkpoint.count:
                return
            await progressed.wait()

    async def _report(self, file: PartFile) -> None:
        if self._on_progress:
            self._on_progress(self._checkpoint.finished_bytes, self._properties.size)
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._saved_at = time.monotonic()
            await self._on_disk(self._save, file, frozenset(self._checkpoint.finished))

    def _save(self, file: PartFile, finished: frozenset[int]) -> None:
        """Flush the data before the checkpoint, so that the checkpoint is correct even after a power cut."""
        file.sync()
        ChunkCheckpoint(self._properties, self._checkpoint.chunk_size, set(finished)).save(self._checkpoint_path)

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
        self._checkpoint_path.unlink(missing_ok=True)
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
        self._checkpoint_path.unlink(missing_ok=True)
        replace(decoded, self._part)
        return size, sha256


def _worst(faults: ExceptionGroup[Exception]) -> Exception:
    """The error to raise: one that is not transient comes first."""
    return min(faults.exceptions, key=lambda fault: isinstance(fault, ExportError) and fault.is_transient)
