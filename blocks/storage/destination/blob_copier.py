"""Blobs that Azure fetches itself: Put Blob From URL, so that their bytes do not pass through this machine.

https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url: since version 2020-04-08, up to 5000 MiB, from
any address that the store can reach.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient, ContentSettings

from blocks.errors import ExportError
from blocks.shown_text import shown
from blocks.signed_url import SignedUrl
from blocks.storage.azure_transport import RoutedRequestsTransport
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.web_headers import IMMUTABLE, headers_of
from blocks.storage.tileset.listing import Tile

LARGEST = 5000 * 1024 * 1024
LIFE = timedelta(hours=6)
_SECONDS = 600.0
"""For one blob."""
_OF_ONE_BLOB = {
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The source has changed, or the store is busy: other blobs may still be copied."""
_WRONG_MD5 = "Md5Mismatch"
_LONGEST_CODE = 60

log = logging.getLogger("prefect.itwin")


class BlobCopier:
    """Has an Azure container fetch blobs; for many threads.

    A store that refuses for a reason that holds for every blob is not asked again: emulators do not know the request,
    and a store may not be able to reach the source.

    Attributes:
        is_refused: It is not asked any more.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.is_refused = not store.is_azure
        self._store = store
        self._links: dict[str, SignedUrl] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self._transports: list[RoutedRequestsTransport] = []

    def prepare(self, keys: Sequence[str]) -> None:
        """Sign what will be written, all at once: an identity asks Azure for a key each time."""
        if self.is_refused or not keys:
            return
        try:
            self._links = self._store.write_links(keys, LIFE)
        except ExportError:
            self._refuse("its credentials cannot sign a link")

    def copy(self, tile: Tile, source: SignedUrl, key: str) -> bool:
        """Ask Azure to copy a blob if its MD5 and ETag are those of the listing; true if it was copied.

        Args:
            tile: Has an MD5.
            source: A link to it.
            key: Of the object to write.
        """
        target = self._links.get(key)
        if self.is_refused or target is None or (tile.size or 0) > LARGEST:
            return False
        try:
            self._ask(tile, source, target)
        except HttpResponseError as error:
            code = _code_of(error)
            if error.status_code not in _OF_ONE_BLOB and code != _WRONG_MD5:
                self._refuse(f"it answers {error.status_code} {shown(code, _LONGEST_CODE)}".strip())
            return False
        except (AzureError, ExportError):  # no answer, or an unusable proxy
            return False
        return True

    def close(self) -> None:
        """Close the connections of all threads."""
        for transport in self._transports:
            transport.close()

    def _ask(self, tile: Tile, source: SignedUrl, target: SignedUrl) -> None:
        headers = headers_of(tile.name, IMMUTABLE)
        client = BlobClient.from_blob_url(target.reveal(), transport=self._transport(), retry_total=0)
        client.upload_blob_from_url(
            source.reveal(),
            overwrite=True,
            include_source_blob_properties=False,
            source_content_md5=bytearray(tile.md5 or b""),
            **_condition(tile),
            content_settings=ContentSettings(
                content_type=headers.get("Content-Type"), cache_control=headers.get("Cache-Control")
            ),
        )

    def _transport(self) -> RoutedRequestsTransport:
        """One for each thread: a request that takes too long cuts the connections of its transport."""
        if not hasattr(self._own, "transport"):
            self._own.transport = RoutedRequestsTransport(LIFE.total_seconds(), _SECONDS)
            self._transports.append(self._own.transport)
        return self._own.transport

    def _refuse(self, why: str) -> None:
        """Say once that tiles pass through this machine."""
        with self._lock:
            if not self.is_refused:
                self.is_refused = True
                log.info("%s does not copy tiles by itself (%s): they are fetched and uploaded.", self._store.url, why)


def _condition(tile: Tile) -> dict[str, Any]:
    if tile.etag is None:
        return {}
    return {"source_etag": tile.etag, "source_match_condition": MatchConditions.IfNotModified}


def _code_of(error: HttpResponseError) -> str:
    """The error code of Azure, as `CannotVerifyCopySource`; empty if there is none."""
    code: object = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")
