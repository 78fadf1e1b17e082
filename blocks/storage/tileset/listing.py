"""Listing of a tileset's files, and checks of their names.

Listing: https://learn.microsoft.com/rest/api/storageservices/list-blobs. A CDN host lists nothing; then the
references are followed from `tileset.json` (`references`).
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

import aiohttp

from blocks.bounds import LONGEST_LISTING_PAGE, LONGEST_TILE_NAMES, MOST_LISTING_PAGES, MOST_TILES
from blocks.errors import ContentError, ForeignDataError, InterruptedTransferError, LinkExpiredError
from blocks.foreign_data import read_etag, read_length, read_xml
from blocks.storage.download.http_source import decode_md5, get, read_body
from blocks.storage.download.source import refusal
from blocks.storage.file_names import find_unstorable
from blocks.storage.renewable_link import RenewableLink
from blocks.storage.retry import RetryPolicy, retry

_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.CONFLICT}
"""What hosts that do not list answer; a missing right to list looks like an expired link at first."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A file of a tileset as the host describes it; without a listing only the name is known.

    Attributes:
        is_encoded: Its bytes have a Content-Encoding.
    """

    name: str
    size: int | None = None
    etag: str | None = None
    md5: bytes | None = None
    is_encoded: bool = False


async def list_tiles(
    session: aiohttp.ClientSession, link: RenewableLink, retry_policy: RetryPolicy
) -> list[Tile] | None:
    """Every file of the container, or none where the host refuses to list.

    Raises:
        InterruptedTransferError: The listing stops midway: half a listing is no listing.
    """
    tiles: dict[str, Tile] = {}
    seen = set[str]()
    marker = ""
    while marker not in seen:
        seen.add(marker)
        page = await _read_page(session, link, marker, retry_policy)
        if page is None:
            return None
        tiles.update((tile.name, tile) for tile in tiles_of_page(page))
        _require_end(tiles, len(seen))
        marker = page.findtext("NextMarker") or ""
        if not marker:
            return _without_folder_stubs(tiles)
    raise InterruptedTransferError("The listing of the tileset turns in a circle. Run the same again.")


def _require_end(tiles: Mapping[str, Tile], pages: int) -> None:
    """Stop a listing that goes on beyond what a tileset can have.

    Raises:
        ContentError: It has too many pages or files, or too long names.
    """
    if len(tiles) > MOST_TILES or pages > MOST_LISTING_PAGES or sum(map(len, tiles)) > LONGEST_TILE_NAMES:
        raise ContentError(
            f"The listing of the tileset does not end: it has more than {MOST_TILES} files, {MOST_LISTING_PAGES} pages "
            f"or names of {LONGEST_TILE_NAMES} bytes."
        )


def _without_folder_stubs(tiles: dict[str, Tile]) -> list[Tile]:
    """Files only: upload tools mark folders with empty blobs, named like the folder or with a slash at the end."""
    empty = {name for name, tile in tiles.items() if tile.size == 0}
    folders = {str(parent) for name in tiles for parent in PurePosixPath(name).parents} if empty else set[str]()
    stubs = {name for name in empty if name.endswith("/") or name in folders}
    return [tile for name, tile in tiles.items() if name not in stubs]


def check_names(names: Iterable[str]) -> None:
    """Refuse a tileset with a name that would leave its folder or does not work on every disk.

    Raises:
        ContentError: Names the first such file; nothing has been written yet.
    """
    wanted = list(names)
    if (unstorable := find_unstorable(wanted)) is not None:
        raise ContentError(f"The tileset has a file named {unstorable!r}, which cannot be stored safely.")
    spellings: dict[str, str] = {}
    for name in wanted:
        spelling = unicodedata.normalize("NFC", name).casefold()
        if (other := spellings.setdefault(spelling, name)) != name:
            raise ContentError(f"The tileset has {other!r} and {name!r}, which are one file on many disks.")
    folders = {spelling.rpartition("/")[0] for spelling in spellings}
    folders |= {str(parent) for folder in folders for parent in PurePosixPath(folder).parents}
    if both := folders & spellings.keys():
        raise ContentError(f"The tileset has {min(both)!r} as a file and as a folder.")


async def _read_page(
    session: aiohttp.ClientSession, link: RenewableLink, marker: str, retry_policy: RetryPolicy
) -> ET.Element | None:
    answer = await retry(partial(_ask_twice, session, link, marker), link.renew, retry_policy)
    return None if answer is None else _parse(answer)


async def _ask_twice(session: aiohttp.ClientSession, link: RenewableLink, marker: str) -> bytes | None:
    """List with the current and then a new link; if both are rejected, the link has no list permission."""
    try:
        return await _ask(session, link, marker)
    except LinkExpiredError:
        try:
            return await _ask(session, link, marker)
        except LinkExpiredError:
            if marker:
                raise
            link.clear_rejection()
            return None


async def _ask(session: aiohttp.ClientSession, link: RenewableLink, marker: str) -> bytes | None:
    url = await link.current()
    query = f"restype=container&comp=list&marker={quote(marker, safe='')}"
    async with get(session, url.with_query(query), {}) as response:
        if response.status == HTTPStatus.OK:
            return await read_body(response, LONGEST_LISTING_PAGE)
        if response.status in _REFUSED:
            return None
        error = refusal(response.status, response.headers, url.host)
    if isinstance(error, LinkExpiredError):
        link.mark_rejected(url)
    raise error


def _parse(answer: bytes) -> ET.Element | None:
    """A page of the listing; another kind of answer means that the host does not list."""
    if b"<EnumerationResults" not in answer[:1000]:
        return None
    try:
        return read_xml(answer)
    except ForeignDataError as error:
        raise InterruptedTransferError(
            f"The listing of the tileset came garbled: {error}. Run the same again."
        ) from None


def tiles_of_page(page: ET.Element) -> Iterable[Tile]:
    """The files that a page of the listing names.

    Raises:
        InterruptedTransferError: A name is missing.
    """
    for blob in page.iterfind("Blobs/Blob"):
        name, properties = blob.find("Name"), blob.find("Properties")
        if properties is None or name is None or not name.text:
            raise InterruptedTransferError("The listing of the tileset lacks a name. Run the same again.")
        properties = {fact.tag: fact.text for fact in properties}
        if properties.get("ResourceType") == "directory":
            continue
        yield Tile(
            unquote(name.text) if name.get("Encoded") == "true" else name.text,
            read_length(properties.get("Content-Length")),
            header_etag(properties.get("Etag")),
            decode_md5(properties.get("Content-MD5")),
            bool(properties.get("Content-Encoding")),
        )


def header_etag(etag: str | None) -> str | None:
    """A listing has the ETag bare, If-Match wants it quoted; what breaks a header is none."""
    usable = read_etag(etag)
    return f'"{usable.strip(chr(34))}"' if usable else None
