"""A blob: its bytes, and the properties that a storage account keeps beside them."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


def new_etag() -> str:
    """A fresh ETag with its quotes: Azure gives a new one with every write, for equal bytes too."""
    return f'"0x8D{secrets.token_hex(6).upper()}"'


def content_md5(content: bytes) -> str:
    """The MD5 of these bytes as the header `Content-MD5` has it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@dataclass
class Blob:
    """Bytes, or a function that makes them; size and MD5 are computed once.

    Attributes:
        source: The bytes as stored, or the function that makes them.
        content_type: `Content-Type` of reads.
        modified_at: Time of the last write.
        has_md5: False for a blob that was committed as a block list without `x-ms-blob-content-md5`.
        headers: Further headers of reads, such as `Content-Encoding` and `x-ms-meta-…`.
        etag: New with every write, quotes included.
    """

    source: bytes | Callable[[], bytes]
    content_type: str
    modified_at: datetime
    has_md5: bool = True
    headers: dict[str, str] = field(default_factory=dict[str, str])
    etag: str = field(default_factory=new_etag)
    size: int = -1
    stored_md5: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, bytes):
            self.size = len(self.source)

    @property
    def is_measured(self) -> bool:
        """True once size and MD5 can be told without making the content."""
        return self.size >= 0 and (self.stored_md5 is not None or not self.has_md5)

    def read(self) -> bytes:
        """The content."""
        return self.source if isinstance(self.source, bytes) else self.source()

    def measure(self) -> None:
        """Make the content if need be, and note its size and MD5."""
        if self.is_measured:
            return
        content = self.read()
        self.size = len(content)
        if self.has_md5 and self.stored_md5 is None:
            self.stored_md5 = content_md5(content)

    @property
    def content_md5(self) -> str | None:
        """The MD5 that the account keeps, if it keeps one; not checked against the bytes when a caller gave it."""
        self.measure()
        return self.stored_md5


Container = dict[str, Blob]
