"""One blob, and the containers they lie in."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Blob:
    """Bytes, or the way to make them; size and hash are worked out once."""

    source: bytes | Callable[[], bytes]
    content_type: str
    modified_at: datetime
    size: int = -1
    _md5: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.source, bytes):
            self.size = len(self.source)

    @property
    def is_cold(self) -> bool:
        """True while the content was never made."""
        return self._md5 is None and not isinstance(self.source, bytes)

    def read(self) -> bytes:
        """The content."""
        return self.source if isinstance(self.source, bytes) else self.source()

    @property
    def md5(self) -> bytes:
        """The hash of the content, 16 bytes."""
        if self._md5 is None:
            content = self.read()
            self.size = len(content)
            self._md5 = hashlib.md5(content, usedforsecurity=False).digest()
        return self._md5

    @property
    def content_md5(self) -> str:
        """The hash as a header has it."""
        return base64.b64encode(self.md5).decode()

    @property
    def etag(self) -> str:
        """Follows the content, so unchanged tiles keep theirs; quotes included."""
        return f'"0x{self.md5.hex()[:16].upper()}"'


Container = dict[str, Blob]
