"""Small records below one key of an object store, which machines share that have nothing else in common."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from blocks.storage.destination.object_store import ListedObject, ObjectStore

_SUFFIX = ".json"


@dataclass(frozen=True)
class StoredRecords:
    """One object for each record; one that has been read is not read again while its ETag is the same.

    Attributes:
        store: Where they are.
        key: What their keys begin with, without a slash at its end.
        limit: Bytes; longer ones are left out.
    """

    store: ObjectStore
    key: str
    limit: int
    _known: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]], repr=False)

    def read_all(self) -> dict[str, bytes]:
        """The content of each record by its name; one listing, and a request for each that is new or has changed."""
        listed = {
            PurePosixPath(key).stem: entry
            for key, entry in self.store.entries(self.key).items()
            if key.endswith(_SUFFIX) and entry.size <= self.limit
        }
        read = ((name, self._read(name, entry)) for name, entry in listed.items())
        return {name: content for name, content in read if content is not None}

    def write(self, name: str, content: bytes) -> None:
        """Write a record whole, over the one of the same name."""
        self.store.write(self._key_of(name), content)

    def purge(self, age: timedelta) -> None:
        """Delete the records that nobody has written for so long."""
        oldest = datetime.now(UTC) - age
        self.store.delete(key for key, entry in self.store.entries(self.key).items() if entry.modified < oldest)

    def _read(self, name: str, entry: ListedObject) -> bytes | None:
        """A record; None if it was deleted meanwhile."""
        known = self._known.get(name)
        if known is None or known[0] != entry.etag:
            found = self.store.read(self._key_of(name), self.limit)
            if found is None:
                return None
            known = self._known[name] = found.version.etag, found.content
        return known[1]

    def _key_of(self, name: str) -> str:
        return f"{self.key}/{name}{_SUFFIX}"
