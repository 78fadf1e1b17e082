"""Download of small blobs with libcurl, one handle per thread.

libcurl takes two thirds of the processor time of obstore, the next best (`tests/benchmarks/REPORT.md`), and unlike
it follows no redirect: that would tell another host the link.
"""

import math
import ssl
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pycurl

from blocks.bounds import LEAST_TILE_SPEED, LONGEST_TILE, TILE_SECONDS
from blocks.content_encoding import encoding_of, require_decodable
from blocks.disk import disk_errors
from blocks.errors import ContentError, ExportError, InterruptedTransferError
from blocks.foreign_data import read_etag
from blocks.network import Trust, proxy_for, refused_by_proxy, trust, untrusted, via
from blocks.signed_url import SignedUrl
from blocks.storage.download.source import is_strong, refusal
from blocks.storage.retry import BlobChangedError, ThrottledError
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.tile_body import BUFFER, FetchedTile, TileBody

NEAR_THREADS = 4
"""Number of threads that is fastest for a host with a negligible response time."""
_WORTH_WAITING_FOR = 3000
"""Files per second that this process can store if the host responds immediately."""


class TileDownloader:
    """A connection that is kept open from tile to tile; for one thread at a time.

    Args:
        folder: Where the tiles go; the folders that their names ask for must be there.
        stall_seconds: Silence after which a tile is given up, in whole seconds.
        cancelled: Once it is set, a tile that is on its way is given up within a second.
        with_sha256: Note the SHA-256 of tiles whose MD5 is promised, too.

    Raises:
        ConfigurationError: The trusted certificates cannot be read.

    Attributes:
        wait: Response time of the latest request in seconds.
    """

    def __init__(
        self,
        folder: Path,
        stall_seconds: float,
        cancelled: threading.Event | None = None,
        *,
        with_sha256: bool = False,
    ) -> None:
        self.wait = 0.0
        self._folder = folder
        self._link = SignedUrl("")
        self._head: list[bytes] = []
        self._body = TileBody(folder, self._encoding, with_sha256=with_sha256)
        self._curl = _new_handle(stall_seconds)
        self._curl.setopt(pycurl.HEADERFUNCTION, self._head.append)
        self._curl.setopt(pycurl.NOPROGRESS, 0)
        self._curl.setopt(pycurl.XFERINFOFUNCTION, partial(_is_set, cancelled or threading.Event()))

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def save(self, link: SignedUrl, tile: Tile, kept: FetchedTile | None = None) -> FetchedTile:
        """Fetch one file; `kept` is what is there and is good if the host still has the same.

        Args:
            link: Of the container (or CDN folder).
            tile: What to fetch, as the listing describes it.
            kept: Asks the host to send the file only if it has another one.

        Raises:
            BlobChangedError: The host has another file under this name, or none any more.
            LinkExpiredError: The link is refused.
            InterruptedTransferError: The bytes do not come, or not all of them, or others than were listed.
            ContentError: The host does not have the file.
            DiskError: The disk refuses the data.
        """
        with disk_errors(self._folder), self._body:
            self._perform(link, tile, kept)
            headers = self._headers()
            status = self._curl.getinfo(pycurl.RESPONSE_CODE)
            if status == HTTPStatus.NOT_MODIFIED and kept:
                return kept
            if status != HTTPStatus.OK:
                raise _refusal(status, headers, link.host, tile)
            _require_end(headers, tile)
            require_decodable(self._encoding(), tile.name)
            return self._body.finish(read_etag(headers.get("etag")))

    def _perform(self, link: SignedUrl, tile: Tile, kept: FetchedTile | None) -> None:
        curl = self._curl
        self._head.clear()
        self._follow(link)
        curl.setopt(pycurl.URL, link.of_blob(tile.name).reveal())
        curl.setopt(pycurl.HTTPHEADER, _condition(tile, kept))
        curl.setopt(pycurl.MAXFILESIZE_LARGE, LONGEST_TILE if tile.size is None else max(tile.size, BUFFER))
        curl.setopt(pycurl.WRITEFUNCTION, self._body.write_callback(tile))
        try:
            curl.perform()
        except pycurl.error as fault:
            raise self._body.fault or self._broken(int(fault.args[0]), link, tile) from None
        self.wait = curl.getinfo(pycurl.STARTTRANSFER_TIME) - curl.getinfo(pycurl.PRETRANSFER_TIME)

    def _follow(self, link: SignedUrl) -> None:
        """Decide on the proxy once per link: it takes longer than a small tile."""
        if link != self._link:
            self._link = link
            self._curl.setopt(pycurl.PROXY, proxy_for(link.unsigned) or "")

    def _broken(self, code: int, link: SignedUrl, tile: Tile) -> ExportError:
        refused = self._curl.getinfo(pycurl.HTTP_CONNECTCODE)
        if refused >= HTTPStatus.MULTIPLE_CHOICES:
            return refused_by_proxy(link.unsigned, refused)
        return _broken(code, link, tile)

    def _encoding(self) -> str | None:
        return encoding_of(self._headers())

    def _headers(self) -> dict[str, str]:
        """Of the last answer, names in lower case."""
        start = max(number for number, line in enumerate(self._head) if line.startswith(b"HTTP/"))
        fields = (line.partition(b":") for line in self._head[start + 1 :])
        return {name.lower().decode("latin-1"): value.strip().decode("latin-1") for name, _, value in fields}


class DownloaderPool:
    """Pool of downloaders with open connections, shared by many threads.

    It measures the host's response time to choose the number of threads.
    """

    def __init__(self, folder: Path, stall_seconds: float, *, with_sha256: bool) -> None:
        self._folder = folder
        self._stall_seconds = stall_seconds
        self._with_sha256 = with_sha256
        self._idle: list[TileDownloader] = []
        self._cancelled = threading.Event()
        self._waits: deque[float] = deque([0.0], maxlen=100)

    @property
    def threads(self) -> int:
        """The number of threads to use, at least `NEAR_THREADS`."""
        waits = sorted(self._waits.copy())
        return max(NEAR_THREADS, round(waits[len(waits) // 4] * _WORTH_WAITING_FOR))

    def note(self, wait: float) -> None:
        """Record a response time in seconds."""
        self._waits.append(wait)

    @contextmanager
    def one(self) -> Generator[TileDownloader]:
        """A downloader for exclusive use until the context ends."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = TileDownloader(self._folder, self._stall_seconds, self._cancelled, with_sha256=self._with_sha256)
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def cancel(self) -> None:
        """Give up the tiles that are on their way."""
        self._cancelled.set()

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop().close()


def _new_handle(stall_seconds: float) -> pycurl.Curl:
    """A handle without redirects, cookies and environment settings."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)  # signals belong to the main thread
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)  # one connection per thread; Azure has no HTTP/2
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, round(stall_seconds * 1000))
    curl.setopt(pycurl.LOW_SPEED_LIMIT, LEAST_TILE_SPEED)
    curl.setopt(pycurl.LOW_SPEED_TIME, math.ceil(stall_seconds))
    curl.setopt(pycurl.TIMEOUT, TILE_SECONDS)
    curl.setopt(pycurl.NOPROXY, "")  # who goes through a proxy is decided by blocks.network
    _trust(curl, trust())
    return curl


def _is_set(event: threading.Event, *_: int) -> bool:
    """What libcurl is to ask about every second; true ends the transfer."""
    return event.is_set()


def _trust(curl: pycurl.Curl, trusted: Trust) -> None:
    """Trust the given certificates instead of libcurl's built-in ones, for hosts and proxies."""
    if trusted.folder:
        curl.setopt(pycurl.CAPATH, trusted.folder)
        curl.setopt(pycurl.PROXY_CAPATH, trusted.folder)
    if trusted.file:
        curl.setopt(pycurl.CAINFO, trusted.file)
        curl.setopt(pycurl.PROXY_CAINFO, trusted.file)
    elif not trusted.folder:  # Windows has a store and no file
        known = trusted.context().get_ca_certs(binary_form=True)
        pem = "".join(map(ssl.DER_cert_to_PEM_cert, known))
        curl.setopt(pycurl.CAINFO_BLOB, pem)
        curl.setopt(pycurl.PROXY_CAINFO_BLOB, pem)


def _condition(tile: Tile, kept: FetchedTile | None) -> list[str]:
    if kept and kept.etag:
        return [f"If-None-Match: {kept.etag}"]
    return [f"If-Match: {tile.etag}"] if is_strong(tile.etag) else []


def _broken(code: int, link: SignedUrl, tile: Tile) -> ExportError:
    """The error for a transfer that libcurl gave up; its messages may hold the whole link, so none is passed on."""
    host = link.host
    match code:
        case pycurl.E_PEER_FAILED_VERIFICATION:
            return untrusted(host)
        case pycurl.E_FILESIZE_EXCEEDED:
            if tile.size is None:
                return ContentError(f"{tile.name} of the tileset is longer than {LONGEST_TILE} bytes.")
            return InterruptedTransferError(f"{tile.name} is longer than its listing says ({tile.size} bytes).")
        case pycurl.E_OPERATION_TIMEDOUT:
            return InterruptedTransferError(f"{tile.name} did not come: {host} fell silent or sends hardly anything.")
        case _:
            return InterruptedTransferError(
                f"{tile.name} did not come whole from {host}{via(link.unsigned)} (curl error {code})."
            )


def _refusal(status: int, headers: dict[str, str], host: str, tile: Tile) -> ExportError:
    """The error for a response without the tile."""
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        if tile.etag:
            return BlobChangedError(f"{tile.name} vanished while the tileset was read.")
        return ContentError(f"The tileset lacks {tile.name}: {host} does not have it.")
    error = refusal(status, {"Retry-After": headers.get("retry-after", ""), "Date": headers.get("date", "")}, host)
    return ThrottledError(f"{tile.name}: {error}", error.retry_after) if isinstance(error, ThrottledError) else error


def _require_end(headers: dict[str, str], tile: Tile) -> None:
    """Reject a response without a length, whose end could not be detected."""
    if "content-length" not in headers and "transfer-encoding" not in headers:
        raise InterruptedTransferError(f"{tile.name} came without its length.")
