"""Digests of a file that is being downloaded."""

import hashlib
from pathlib import Path

_BLOCK_SIZE = 1024 * 1024


class FileDigests:
    """SHA-256 (and MD5 if the server named one) of a growing file, computed in order."""

    def __init__(self, path: Path, *, with_md5: bool) -> None:
        self._path = path
        self._offset = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    def advance(self, until: int) -> None:
        """Hash the file from the end of the last call up to `until` bytes; recent data is in the page cache."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            while self._offset < until and (block := file.read(min(_BLOCK_SIZE, until - self._offset))):
                self._sha256.update(block)
                if self._md5:
                    self._md5.update(block)
                self._offset += len(block)

    @property
    def sha256(self) -> str:
        """SHA-256 in hexadecimal of what has been hashed."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> bytes | None:
        """MD5 of what has been hashed; None if it is not computed."""
        return self._md5.digest() if self._md5 else None
