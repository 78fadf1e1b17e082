"""The GlobalIds of IFC files by class, and the list of them that is kept beside an export for the next one.

The list `global-ids.bin` has 8 bytes for each GlobalId: a first line that names the format, a line of JSON with the
number of digests by class and bucket, then the digests of each bucket in that order, ascending, as unsigned 64-bit
numbers (little-endian).
"""

import json
import os
import struct
from array import array
from collections.abc import Generator, Iterable
from typing import BinaryIO, Self

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from blocks.bounds import MIB
from blocks.storage.content.difference import Change

GLOBAL_IDS_NAME = "global-ids.bin"
_FORMAT = b"itwin-export GlobalIds 1\n"
_PRIME = 0xB7E151628AED2A6B
"""Of 64 bits, from the digits of e: near a power of two, GlobalIds that differ in few characters would collide."""
BUCKETS = 64
_LARGEST_BUCKET = 1_000_000
"""Digests of a class in a bucket of a list: 16 GB of walls have so many, and a set of them takes 65 MB."""
_LONGEST_INDEX = MIB
_INDEX = TypeAdapter(dict[str, list[NonNegativeInt]])
_DIGEST_SIZE = 8


class GlobalIdListError(ValueError):
    """Bytes that are no list of GlobalIds."""


class ClassIds:
    """Digests of the GlobalIds of a class, in buckets, so that few are compared at once."""

    def __init__(self) -> None:
        self.buckets = [array("Q") for _ in range(BUCKETS)]

    def add(self, global_id: bytes) -> None:
        """Add a GlobalId. Its 64-bit digest is the same on every machine and in every release."""
        digest = int.from_bytes(global_id) % _PRIME
        self.buckets[digest % BUCKETS].append(digest)


class GlobalIds:
    """The GlobalIds of a file, or of the files of an export."""

    def __init__(self) -> None:
        self._classes: dict[str, ClassIds] = {}

    def of_class(self, name: str) -> ClassIds:
        """The GlobalIds of the instances of a class, to be added to."""
        return self._classes.setdefault(name, ClassIds())

    def extend(self, other: Self) -> None:
        """Take over the GlobalIds of another file, which is not used any more."""
        for name, ids in other._classes.items():
            if name not in self._classes:
                self._classes[name] = ids
                continue
            for mine, more in zip(self._classes[name].buckets, ids.buckets, strict=True):
                mine.extend(more)

    def __len__(self) -> int:
        return sum(len(bucket) for ids in self._classes.values() for bucket in ids.buckets)

    @property
    def duplicates(self) -> int:
        """Instances whose GlobalId another one before has too, of whatever class."""
        buckets = zip(*(ids.buckets for ids in self._classes.values()), strict=True)
        return len(self) - sum(len(set[int]().union(*bucket)) for bucket in buckets)

    def write(self, file: BinaryIO) -> None:
        """Write the list; a GlobalId that several instances of a class have is listed once."""
        index = {name: [len(set(bucket)) for bucket in ids.buckets] for name, ids in sorted(self._classes.items())}
        file.write(_FORMAT + json.dumps(index, separators=(",", ":")).encode() + b"\n")
        for name in index:
            for bucket in self._classes[name].buckets:
                digests = sorted(set(bucket))
                file.write(struct.pack(f"<{len(digests)}Q", *digests))

    def changes_since(self, before: BinaryIO) -> dict[str, Change]:
        """What was added, is gone and was kept since a list was written, by class; each GlobalId counts once.

        Raises:
            GlobalIdListError: It is no such list.
        """
        index = _read_index(before)
        listed = {name: _read_buckets(before, sizes) for name, sizes in index.items()}
        nothing = [set[int]()] * BUCKETS
        changes = {name: self._changes(name, buckets) for name, buckets in listed.items()}  # in the order of the list
        changes |= {name: self._changes(name, nothing) for name in self._classes.keys() - index.keys()}
        return dict(sorted(changes.items()))

    def _changes(self, name: str, before: Iterable[set[int]]) -> Change:
        now = self._classes[name] if name in self._classes else ClassIds()
        added = gone = kept = 0
        for bucket, old in zip(now.buckets, before, strict=True):
            new = set(bucket)
            both = len(new & old)
            added, gone, kept = added + len(new) - both, gone + len(old) - both, kept + both
        return Change(added=added, gone=gone, kept=kept)


def _read_index(file: BinaryIO) -> dict[str, list[int]]:
    """The number of digests in each bucket by class; they all follow, and no bucket is too large for the memory."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.readline(len(_FORMAT)) != _FORMAT:
        raise GlobalIdListError("It does not begin like a list of GlobalIds.")
    try:
        index = _INDEX.validate_json(file.readline(_LONGEST_INDEX))
    except ValidationError:
        raise GlobalIdListError("Its index cannot be read.") from None
    if any(len(sizes) != BUCKETS or max(sizes) > _LARGEST_BUCKET for sizes in index.values()):
        raise GlobalIdListError("Its index has other buckets.")
    if sum(map(sum, index.values())) * _DIGEST_SIZE != end - file.tell():
        raise GlobalIdListError("It is longer or shorter than its index says.")
    return index


def _read_buckets(file: BinaryIO, sizes: list[int]) -> Generator[set[int]]:
    for size in sizes:
        yield set(struct.unpack(f"<{size}Q", file.read(size * _DIGEST_SIZE)))
