"""A reader of a tileset in an object store, which loads it again and again as a viewer does."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from blocks.storage.destination.object_store import ObjectStore
from tests.processes.repeated import repeated

Json = dict[str, Any]
_LIMIT = 10**8


@dataclass
class TileReader:
    """What a reader met: the generations that it loaded whole, and what was missing or no tileset."""

    store: ObjectStore
    key: str
    loaded: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])

    def load(self) -> None:
        """Load the root, what it refers to, and every tile of it."""
        uri = json.loads(self._read("tileset.json"))["root"]["content"]["uri"]
        generation = uri.partition("/")[0]
        for name in contents(json.loads(self._read(uri))["root"]):
            self._read(f"{generation}/{unquote(name)}")
        self.loaded.append(generation)

    def _read(self, path: str) -> bytes:
        found = self.store.read(f"{self.key}/{path}", _LIMIT)
        if found is None:
            self.failures.append(f"{path} is missing")
        return found.content if found else b'{"root": {"content": {"uri": "/"}}}'


def contents(tile: Json) -> Iterator[str]:
    """The addresses of the contents of a tile and those below it."""
    if "content" in tile:
        yield tile["content"]["uri"]
    for child in tile.get("children", ()):
        yield from contents(child)


@contextmanager
def reading(store: ObjectStore, key: str) -> Generator[TileReader]:
    """A reader that loads without a pause until the block ends; it has met no failure and has loaded something."""
    reader = TileReader(store, key)
    with repeated(reader.load):
        yield reader
    reader.load()
    assert reader.failures == []
    assert reader.loaded
