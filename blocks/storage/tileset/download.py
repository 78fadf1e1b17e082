"""Download of a tileset: tens of thousands of small blobs, checked, into a staging folder."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from blocks.disk import disk_errors, require_room
from blocks.errors import ExportError, InterruptedTransferError, LinkExpiredError
from blocks.shared_folder import walk
from blocks.signed_url import SignedUrl
from blocks.storage.download.http_source import STALL_SECONDS, new_session
from blocks.storage.renewable_link import FetchLink, RenewableLink
from blocks.storage.retry import BlobChangedError, RetryPolicy, ThrottledError
from blocks.storage.tileset.checkpoint import PublishedTiles, TileCheckpoint
from blocks.storage.tileset.curl_reader import DownloaderPool, TileDownloader
from blocks.storage.tileset.download_pass import EXPIRY_MARGIN, WORKERS, DownloadPass
from blocks.storage.tileset.early_tiles import EarlyTiles, NoEarlyTiles
from blocks.storage.tileset.listing import Tile, check_names, list_tiles
from blocks.storage.tileset.references import ROOT, ReferenceCrawler
from blocks.storage.tileset.tile_body import FetchedTile, UndecodableTileError, UndecodableTiles
from blocks.storage.tileset.tile_content import TileFile

_LOOK_SECONDS = 0.1
VERSIONS = 3
"""Attempts with a tileset that changes during the download, before the error is raised."""

Progress = Callable[[int, int], None]
"""Called a few times a second with the tiles that are here and the tiles known so far."""


@dataclass(frozen=True)
class FetchedTileset:
    """A downloaded tileset; `reused` tiles were linked from the previous export."""

    folder: Path
    tiles: tuple[FetchedTile, ...]
    reused: int

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(tile.size for tile in self.tiles)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file in the folder, by name."""
        return {tile.name: tile.size for tile in self.tiles if not tile.is_elsewhere}

    @property
    def elsewhere(self) -> dict[str, int]:
        """Bytes of each file that is only where it will be published, by name."""
        return {tile.name: tile.size for tile in self.tiles if tile.is_elsewhere}


async def fetch_tileset(
    fetch_link: FetchLink,
    staging: Path,
    *,
    previous: Path | None = None,
    workers: int = WORKERS,
    stall_seconds: float = STALL_SECONDS,
    on_progress: Progress | None = None,
    retry_policy: RetryPolicy | None = None,
    early: EarlyTiles | None = None,
    with_sha256: bool = False,
) -> FetchedTileset:
    """Download every file of a tileset into the staging folder, and delete all other files there.

    Finished tiles are noted in a journal beside the folder. The host's listing says what to fetch; where it does not
    list, references are followed from `tileset.json`. A tile that is the published one again becomes a link to that.

    Args:
        fetch_link: Returns a new link of the container (or CDN folder).
        staging: The folder to fill; on the disk where the tileset will stay.
        previous: The export published before; its unchanged tiles are hard-linked.
        workers: Maximum number of concurrent files; fewer are used if the host responds quickly.
        stall_seconds: Silence after which a file is given up and asked for again.
        on_progress: Told a few times a second.
        retry_policy: Attempts for one tile, and passes without a new tile, before an error is raised.
        early: Takes tiles of a listing while others are on their way.
        with_sha256: Note the SHA-256 of tiles whose MD5 the listing promises, too.

    Raises:
        InterruptedTransferError, LinkExpiredError: What has arrived is kept for the next call.
        ContentError: A name is not safe to store, or a file that is referred to does not exist.
        DiskError: A file cannot be written.
    """
    steady = retry_policy or RetryPolicy()
    link = RenewableLink(fetch_link, margin=EXPIRY_MARGIN)
    for version in range(1, VERSIONS + 1):
        with (
            _open(staging, with_sha256=with_sha256) as checkpoint,
            ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool,
        ):
            published = PublishedTiles(previous, with_sha256=with_sha256)
            fetch = _Fetch(
                link,
                staging,
                checkpoint,
                published,
                early or NoEarlyTiles(),
                pool,
                DownloaderPool(staging, stall_seconds, with_sha256=with_sha256),
                workers,
                stall_seconds,
                steady,
                on_progress,
            )
            try:
                return await fetch.run()
            except BlobChangedError:
                if version == VERSIONS:
                    raise
    raise AssertionError


def _open(staging: Path, *, with_sha256: bool) -> TileCheckpoint:
    with disk_errors(staging.parent):
        staging.mkdir(parents=True, exist_ok=True)
        return TileCheckpoint(checkpoint_path(staging), with_sha256=with_sha256)


def checkpoint_path(staging: Path) -> Path:
    """Where the journal of a staging folder lies; to be removed once the tileset is published."""
    return staging.with_name(f"{staging.name}.journal")


class _Fetch:
    """One attempt at one version of the tileset."""

    def __init__(
        self,
        link: RenewableLink,
        staging: Path,
        checkpoint: TileCheckpoint,
        published: PublishedTiles,
        early: EarlyTiles,
        pool: ThreadPoolExecutor,
        readers: DownloaderPool,
        workers: int,
        stall_seconds: float,
        retry_policy: RetryPolicy,
        on_progress: Progress | None,
    ) -> None:
        self._link = link
        self._staging = staging
        self._checkpoint = checkpoint
        self._published = published
        self._early = early
        self._is_early = False
        self._pool = pool
        self._workers = workers
        self._stall_seconds = stall_seconds
        self._readers = readers
        self._retry_policy = retry_policy
        self._tell = on_progress
        self._done: dict[str, FetchedTile] = {}
        self._undecodable = UndecodableTiles()
        self._known = 0

    async def run(self) -> FetchedTileset:
        async with new_session(self._stall_seconds) as session:
            tiles = await list_tiles(session, self._link, self._retry_policy)
        with closing(self._readers):
            reused = await self._follow() if tiles is None else await self._fetch_listed(tiles)
        await asyncio.to_thread(self._remove_unexpected)
        return FetchedTileset(self._staging, tuple(self._done[name] for name in sorted(self._done)), reused)

    async def _fetch_listed(self, tiles: list[Tile]) -> int:
        check_names(tile.name for tile in tiles)
        self._known = len(tiles)
        await asyncio.to_thread(self._early.begin, [tile.name for tile in tiles])
        self._is_early = True
        reused = await asyncio.to_thread(self._take_over, tiles)
        missing = [tile for tile in tiles if tile.name not in self._done]
        with disk_errors(self._staging):
            require_room(self._staging, sum(tile.size or 0 for tile in missing if not self._early.is_taken(tile)))
        await self._fetch(missing)
        return reused

    def _take_over(self, tiles: list[Tile]) -> int:
        """What a former attempt left and what the export before has; many are read at once."""
        self._make_folders(tile.name for tile in tiles)
        return sum(self._pool.map(self._take_one, tiles))

    def _take_one(self, tile: Tile) -> bool:
        """Whether it comes from the export before."""
        kept = self._checkpoint.kept(tile, self._staging)
        taken = None if kept else self._published.take(tile, self._staging)
        if found := kept or taken:
            self._keep(found)
        return taken is not None

    async def _follow(self) -> int:
        """Fetch what is referred to, level by level: nothing else is known without a listing."""
        crawler = ReferenceCrawler(self._read_done)
        names = {ROOT}
        while names:
            check_names(crawler.names)
            self._known = len(crawler.names)
            await asyncio.to_thread(self._make_folders, names)
            await self._fetch([Tile(name) for name in sorted(names)])
            await asyncio.to_thread(crawler.advance)
            names = crawler.names - self._done.keys()
        return 0

    def _read_done(self, name: str) -> TileFile | None:
        return TileFile(name, self._staging / name) if name in self._done else None

    def _make_folders(self, names: Iterable[str]) -> None:
        with disk_errors(self._staging):
            for folder in {name.rpartition("/")[0] for name in names}:
                (self._staging / folder).mkdir(parents=True, exist_ok=True)

    async def _fetch(self, tiles: Collection[Tile]) -> None:
        """Repeat passes over the missing tiles until none is missing or the retry policy is exhausted."""
        idle_passes, attempts = 0, Counter[str]()
        while tiles:
            url = await self._link.current()
            before = len(self._done)
            one_pass = DownloadPass(self._readers, url, tiles, self._save)
            await self._work_through(one_pass)
            tiles = [tile for tile in tiles if tile.name not in self._done]
            idle_passes = idle_passes + 1 if len(self._done) == before else 0
            attempts.update(one_pass.interrupted)
            most = max((attempts[tile.name] for tile in tiles), default=0)
            if one_pass.fault:
                self._raise_unless_transient(one_pass.fault, url)
            tries = max(idle_passes, most)
            if tiles and tries >= self._retry_policy.attempts:
                raise _exhausted(one_pass.fault)
            if isinstance(one_pass.fault, InterruptedTransferError):
                asked_for = one_pass.fault.retry_after if isinstance(one_pass.fault, ThrottledError) else 0.0
                await asyncio.sleep(self._retry_policy.pause(max(1, tries), asked_for))

    def _raise_unless_transient(self, fault: ExportError, url: SignedUrl) -> None:
        if isinstance(fault, LinkExpiredError):
            self._link.mark_rejected(url)
        if not fault.is_transient or isinstance(fault, BlobChangedError):
            raise fault

    async def _work_through(self, one_pass: DownloadPass) -> None:
        """Run the threads; when this is cancelled, they give up the tile they are at."""
        work = partial(asyncio.get_running_loop().run_in_executor, self._pool, one_pass.work)
        futures: set[asyncio.Future[None]] = set()
        try:
            while not futures or not all(future.done() for future in futures):
                futures |= {work() for _ in range(min(self._readers.threads, self._workers) - len(futures))}
                await asyncio.wait(futures, timeout=_LOOK_SECONDS)
                self._flush_and_report()
        except asyncio.CancelledError:
            self._readers.cancel()
            raise
        finally:
            one_pass.stop.set()
            await asyncio.wait(futures)
            self._flush_and_report()
        for future in futures:
            future.result()

    def _flush_and_report(self) -> None:
        with disk_errors(self._staging.parent):
            self._checkpoint.flush()
        if self._tell:
            self._tell(len(self._done), self._known)

    def _save(self, reader: TileDownloader, url: SignedUrl, tile: Tile) -> None:
        if self._take_early(reader, url, tile):
            return
        kept = self._checkpoint.kept(tile, self._staging) if tile.size is None else None
        try:
            fetched = reader.save(url, tile, kept)
        except UndecodableTileError as error:
            raise self._undecodable.judge(tile.name, error) from None
        if fetched is not kept:
            self._published.share(fetched, self._staging)
            self._checkpoint.add(fetched)
        self._keep(fetched)

    def _take_early(self, reader: TileDownloader, url: SignedUrl, tile: Tile) -> bool:
        """True if the tile need not be fetched; the time that takes says how many threads are useful."""
        started = time.perf_counter()
        taken = self._early.take(tile, url) if self._is_early else None
        if taken:
            reader.wait = time.perf_counter() - started
            self._done[tile.name] = taken
        return taken is not None

    def _keep(self, fetched: FetchedTile) -> None:
        self._done[fetched.name] = fetched
        if self._is_early:
            self._early.put(fetched, self._staging / fetched.name)

    def _remove_unexpected(self) -> None:
        """What a former attempt fetched of another version."""
        with disk_errors(self._staging):
            for entry in walk(self._staging):
                path = Path(entry.path)
                name = path.relative_to(self._staging).as_posix()
                if name not in self._done and not entry.is_dir(follow_symlinks=False):
                    path.unlink(missing_ok=True)


def _exhausted(fault: ExportError | None) -> ExportError:
    error = fault or InterruptedTransferError("The link expires faster than tiles can be read.")
    error.is_retried = True
    return error
