"""Checkpoint of a download: a file that lists the finished chunks; it contains no link."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from blocks.disk import write_whole
from blocks.shared_folder import read_bounded
from blocks.storage.download.source import BlobProperties

_FORMAT = 1
LONGEST_CHECKPOINT = 16 * 1024 * 1024
"""Maximum size in bytes; a file of two million chunks has a checkpoint of that size."""


@dataclass
class ChunkCheckpoint:
    """The finished chunks of one version of a blob; sizes in bytes."""

    properties: BlobProperties
    chunk_size: int
    finished: set[int] = field(default_factory=set[int])

    @classmethod
    def load(cls, path: Path, part: Path, properties: BlobProperties, chunk_size: int) -> Self:
        """Load the checkpoint if it is for this version of the blob and this chunk size; otherwise an empty one."""
        fresh = cls(properties, chunk_size)
        try:
            if properties.etag is None or part.lstat().st_size != properties.size:
                return fresh
            found = json.loads(read_bounded(path, LONGEST_CHECKPOINT))
        except (OSError, ValueError, RecursionError):
            return fresh
        fresh.finished = fresh._accept(found)
        return fresh

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically."""
        write_whole(path, json.dumps(self._head() | {"finished": sorted(self.finished)}).encode())

    @property
    def count(self) -> int:
        """Number of chunks of the file."""
        return -(-self.properties.size // self.chunk_size)

    @property
    def missing(self) -> Iterator[int]:
        """Indices of the missing chunks, in order."""
        return (index for index in range(self.count) if index not in self.finished)

    @property
    def finished_bytes(self) -> int:
        """Bytes of all finished chunks, calculated in constant time: it is read after every chunk."""
        last = self.count - 1
        missing_at_end = self.chunk_size - self.extent(last)[1] if last in self.finished else 0
        return len(self.finished) * self.chunk_size - missing_at_end

    def extent(self, index: int) -> tuple[int, int]:
        """Start and length of a chunk in bytes."""
        start = index * self.chunk_size
        return start, min(self.chunk_size, self.properties.size - start)

    def _head(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "etag": self.properties.etag,
            "size": self.properties.size,
            "md5": self.properties.md5.hex() if self.properties.md5 else None,
            "chunk_size": self.chunk_size,
        }

    def _accept(self, found: object) -> set[int]:
        if not isinstance(found, dict):
            return set()
        known = cast("dict[str, Any]", found)
        finished = known.pop("finished", None)
        if known != self._head() or not isinstance(finished, list):
            return set()
        return {index for index in cast("list[object]", finished) if isinstance(index, int)} & set(range(self.count))
