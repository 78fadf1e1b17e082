"""A prefix in an object store: whole objects, conditional writes, listings; for threads, as every call blocks.

One retry layer: the client repeats requests that the store did not answer or answered with 5xx. A conditional write
that is repeated may meet its own first success, so a refused one is compared with what is there.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import AzureStore
from obstore.store import ObjectStore as Client

from blocks.errors import ConfigurationError, ContentError
from blocks.signed_url import SignedUrl
from blocks.storage.destination.signed_writes import write_links
from blocks.storage.destination.store_errors import NO_CONTAINER, ChangedMeanwhileError, other_writers, store_errors
from blocks.storage.destination.web_headers import headers_of

if TYPE_CHECKING:  # obstore names these types in its stubs only
    from obstore import Attributes, GetResult, ObjectMeta, PutMode, PutResult

_UNTYPED: Any = obstore
"""Types of its listings are those of a package that is not installed."""
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
_READ = 4 * 1024 * 1024
_DELETED_AT_ONCE = 16
_MOST_CONFLICTS = 6
_PAUSE = 0.1
"""Seconds before the second attempt of a write that the store refused because of another one; grows with each."""


@dataclass(frozen=True)
class Version:
    """What tells one state of an object from the next: its ETag, and where there is one its generation."""

    etag: str
    generation: str = ""


@dataclass(frozen=True)
class StoredObject:
    """A small object as it was read."""

    content: bytes
    version: Version


@dataclass(frozen=True)
class ListedObject:
    """An entry of a listing; `size` is in bytes."""

    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class OpenedObject:
    """An object of any size, whose content comes in pieces."""

    size: int
    etag: str
    content_type: str
    pieces: Iterator[bytes]


class Missing:
    """The condition that there is no such object yet."""


MISSING: Final = Missing()
Condition = Version | Missing | None
"""What must hold for a write to succeed; None for nothing."""


class ObjectStore:
    """The objects below the prefix of one destination. Keys are relative to it, with forward slashes.

    Attributes:
        url: Of the destination, without secrets; what messages name.
    """

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self.url = url

    def __repr__(self) -> str:
        return f"ObjectStore({self.url})"

    def read(self, key: str, limit: int) -> StoredObject | None:
        """A small object; None if there is none.

        Raises:
            ConfigurationError: It is longer than `limit` bytes, so this tool did not write it.
        """
        with store_errors(self.url, f"read {key}"):
            found = self._get(key)
            if found is None:
                return None
            if found.meta["size"] <= limit:
                return StoredObject(bytes(found.bytes()), _version(found.meta))
        raise ConfigurationError(
            f"{self.url}/{key} is longer than {limit:,} bytes. This tool did not write it: remove it."
        )

    def open(self, key: str) -> OpenedObject | None:
        """An object of any size; None if there is none."""
        with store_errors(self.url, f"read {key}"):
            found = self._get(key)
        if found is None:
            return None
        pieces = (bytes(piece) for piece in found.stream(min_chunk_size=_READ))
        kind = found.attributes.get("Content-Type", "application/octet-stream")
        return OpenedObject(found.meta["size"], _bare(found.meta["e_tag"]), kind, pieces)

    def write(
        self, key: str, content: bytes, *, condition: Condition = None, headers: "Attributes | None" = None
    ) -> Version:
        """Write a small object whole.

        A refusal is compared with what is there: a repeated request may have met its own success, and S3 answers 409
        to a write that met another one, whatever became of that.

        Raises:
            ChangedMeanwhileError: The condition does not hold.
        """
        attributes = headers or headers_of(key)
        for _ in _attempts():
            with store_errors(self.url, f"write {key}"):
                with suppress(AlreadyExistsError, PreconditionError):
                    return _version(
                        obstore.put(self._client, key, content, attributes=attributes, mode=_mode(condition))
                    )
                found = self._get(key)
                present = _version(found.meta) if found else MISSING
                if found and isinstance(present, Version) and _holds(found, content):
                    return present
            if condition is not None and present != condition:
                break
        raise ChangedMeanwhileError(f"{self.url}/{key} was written by another process meanwhile.")

    def upload(self, key: str, path: Path, headers: "Attributes") -> Version:
        """Upload a file of any size; the object appears whole or not at all, and replaces one of the same key.

        Raises:
            ChangedMeanwhileError: Other processes keep writing it at the same time.
        """
        for _ in _attempts():
            with store_errors(self.url, f"write {key}"), other_writers():
                return _version(
                    obstore.put(
                        self._client, key, path, attributes=headers, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
                    )
                )
        raise ChangedMeanwhileError(f"{self.url}/{key} is written by other processes at the same time.")

    def upload_pieces(self, key: str, pieces: Iterator[bytes], headers: "Attributes") -> Version:
        """Upload pieces as they come; the object appears once they have ended, and not if they raise an error."""
        with store_errors(self.url, f"write {key}"):
            return _version(
                obstore.put(
                    self._client, key, pieces, attributes=headers, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
                )
            )

    def download(self, key: str, target: Path, algorithm: str = "sha256") -> str:
        """Write the content of an object to a file; returns its hash of that name.

        Raises:
            ContentError: There is no such object.
        """
        with target.open("wb") as file:
            return self._stream(key, file.write, algorithm)

    def sha256_of(self, key: str) -> str:
        """The SHA-256 of an object in hex digits, which is read whole.

        Raises:
            ContentError: There is no such object.
        """
        return self.digest_of(key, "sha256")

    def digest_of(self, key: str, algorithm: str) -> str:
        """The hash of that name of an object in hex digits, which is read whole.

        Raises:
            ContentError: There is no such object.
        """
        return self._stream(key, len, algorithm)

    def signed_url(self, key: str, life: timedelta) -> SignedUrl:
        """A link with which anybody may read an object for so long."""
        with store_errors(self.url, f"sign a link to {key}"):
            return SignedUrl(_UNTYPED.sign(self._client, "GET", key, life))

    def write_links(self, keys: Sequence[str], life: timedelta) -> dict[str, SignedUrl]:
        """Links by key with which objects can be written for so long; only those that can be signed.

        Raises:
            InterruptedTransferError: The store cannot be reached, or its credentials cannot sign.
        """
        with store_errors(self.url, "sign links"):
            return write_links(self._client, keys, life)

    @property
    def is_azure(self) -> bool:
        """True for a container of Azure Blob Storage."""
        return isinstance(self._client, AzureStore)

    def entries(self, prefix: str, *, is_flat: bool = False) -> dict[str, ListedObject]:
        """Every object below a prefix, which ends at a slash: `a` does not stand for `ab/`.

        Args:
            prefix: What the keys begin with.
            is_flat: Leave out objects in folders below it.
        """
        with store_errors(self.url, f"list {prefix}".rstrip()):
            pages: Iterable[Iterable[ObjectMeta]] = (
                [_UNTYPED.list_with_delimiter(self._client, prefix)["objects"]]
                if is_flat
                else _UNTYPED.list(self._client, prefix)
            )
            entries = [entry for page in pages for entry in page]
        return {
            entry["path"]: ListedObject(entry["size"], _bare(entry["e_tag"]), entry["last_modified"])
            for entry in entries
        }

    def folders(self, prefix: str = "") -> list[str]:
        """The keys below a prefix up to the next slash."""
        with store_errors(self.url, f"list {prefix}".rstrip()):
            return list(_UNTYPED.list_with_delimiter(self._client, prefix or None)["common_prefixes"])

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store; its headers go with it."""
        with store_errors(self.url, f"copy {source}"):
            obstore.copy(self._client, source, target)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, many at once; those that are gone already count as deleted."""
        with ThreadPoolExecutor(_DELETED_AT_ONCE) as pool:
            for _ in pool.map(self._delete, keys):
                pass

    def _delete(self, key: str) -> None:
        with store_errors(self.url, f"delete {key}"):
            try:
                obstore.delete(self._client, key)
            except FileNotFoundError as error:
                _raise_if_gone(error)

    def _get(self, key: str) -> "GetResult | None":
        try:
            return obstore.get(self._client, key)
        except FileNotFoundError as error:
            _raise_if_gone(error)
            return None

    def _stream(self, key: str, take: Callable[[bytes], object], algorithm: str) -> str:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with store_errors(self.url, f"read {key}"):
            found = self._get(key)
            for piece in found.stream(min_chunk_size=_READ) if found else ():
                digest.update(piece)
                take(bytes(piece))
        if found is None:
            raise ContentError(f"{self.url}/{key} is missing. Export it again.")
        return digest.hexdigest()


def _raise_if_gone(error: FileNotFoundError) -> None:
    """Raise the error again if it is about the container or bucket, and not about the object."""
    if NO_CONTAINER.search(str(error)):
        raise error


def _attempts() -> Iterator[int]:
    """Numbers of attempts, with pauses between them."""
    for attempt in range(_MOST_CONFLICTS):
        time.sleep(attempt * _PAUSE)
        yield attempt


def _holds(found: "GetResult", content: bytes) -> bool:
    return found.meta["size"] == len(content) and bytes(found.bytes()) == content


def _mode(condition: Condition) -> "PutMode":
    if condition is None:
        return "overwrite"
    if isinstance(condition, Missing):
        return "create"
    etag = f'"{condition.etag}"'
    return {"e_tag": etag, "version": condition.generation} if condition.generation else {"e_tag": etag}


def _version(answer: "PutResult | ObjectMeta") -> Version:
    return Version(_bare(answer["e_tag"]), answer["version"] or "")


def _bare(etag: str | None) -> str:
    """An ETag without quotes: listings of Azure have none."""
    return (etag or "").strip('"')
