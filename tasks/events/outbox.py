"""Events that the Prefect server does not have yet, as files beside the exports; the next export delivers them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from blocks.disk import disk_errors, write_whole
from tasks.events.payloads import LARGEST_PAYLOAD, EventRecord
from tasks.output_place import check_output_dir
from tasks.state_dir import StateDir, prepare, read_record

MOST_KEPT = 1000
"""Events in an outbox; the oldest gives way to one more. They are removed after a week, like every record."""
LONGEST_EVENT = 4 * LARGEST_PAYLOAD


@dataclass(frozen=True)
class Outbox:
    """The outbox of all exports to one folder; only its owner can read what is in it."""

    folder: Path

    @classmethod
    def of(cls, output_dir: str | Path) -> Self:
        """The outbox of an output folder."""
        return cls(StateDir.of_batches(check_output_dir(output_dir)).events)

    def put(self, event: EventRecord) -> None:
        """Store an event in a file until it is delivered.

        Raises:
            DiskError: The disk refuses.
        """
        with disk_errors(self.folder):
            prepare(self.folder)
            for path in self._paths()[: 1 - MOST_KEPT]:
                path.unlink(missing_ok=True)
            write_whole(self._path(event), event.model_dump_json().encode(), private=True)

    def waiting(self, most: int) -> list[EventRecord]:
        """At most so many events, oldest first; invalid files and those of other users are ignored."""
        return list(islice(self._events(), most))

    def remove(self, events: Iterable[EventRecord]) -> None:
        """Remove events that are delivered."""
        for event in events:
            with suppress(OSError):
                self._path(event).unlink()

    def _events(self) -> Iterator[EventRecord]:
        for path in self._paths():
            event = read_record(path, EventRecord, LONGEST_EVENT)
            if event is not None and path == self._path(event):
                yield event

    def _paths(self) -> list[Path]:
        """Oldest first."""
        found: list[tuple[float, Path]] = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError):  # another process may have delivered it
                found.append((path.lstat().st_mtime, path))
        return [path for _, path in sorted(found)]

    def _path(self, event: EventRecord) -> Path:
        return self.folder / f"{event.id}.json"
