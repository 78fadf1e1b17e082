"""Received deliveries and pending changes, kept on disk across restarts."""

import logging
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import ConfigurationError
from deployments.webhooks.message import Change

log = logging.getLogger("itwin.webhooks")

LONGEST_TEXT = 200
KEPT_SECONDS = 30 * 24 * 3600.0
KEPT_MESSAGES = 100_000
"""Deliveries remembered. An older one that is replayed leads to an export that finds nothing to do."""

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS seen (message_id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS seen_at ON seen (at);
CREATE TABLE IF NOT EXISTS pending (
    imodel_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    changeset_id TEXT,
    event_type TEXT NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    version_id TEXT,
    PRIMARY KEY (imodel_id, subject)
);
"""
_WAITING_BEFORE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'waiting'"
_TAKE_OVER = """
INSERT OR IGNORE INTO pending SELECT imodel_id, '', changeset_id, event_type, first_at, last_at, NULL FROM waiting;
DROP TABLE waiting;
"""
"""Earlier releases kept one pending change for each iModel, in the table `waiting`."""
_WAIT = """
INSERT INTO pending VALUES (:imodel_id, :subject, :changeset_id, :event_type, :now, :now, :version_id)
ON CONFLICT (imodel_id, subject) DO UPDATE
SET changeset_id = excluded.changeset_id, event_type = excluded.event_type, last_at = excluded.last_at
"""
_FORGET = """
DELETE FROM seen WHERE at < :oldest
OR message_id IN (SELECT message_id FROM seen ORDER BY at DESC, message_id LIMIT -1 OFFSET :most)
"""


@dataclass(frozen=True)
class PendingChange:
    """The pending changes of an iModel, as of its last delivery: pushes together, each named version by itself."""

    imodel_id: str
    subject: str
    changeset_id: str | None
    event_type: str
    last_at: float
    version_id: str | None = None


def _opened(file: Path) -> sqlite3.Connection:
    with _database_errors(file):
        database = sqlite3.connect(file, check_same_thread=False)
        database.executescript(_SCHEMA)
        if database.execute(_WAITING_BEFORE).fetchone()[0]:
            database.executescript(f"BEGIN; {_TAKE_OVER} COMMIT;")
        return database


@contextmanager
def _database_errors(file: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"The state file {file.absolute()} cannot be used ({error}). Name one with --state-file, in a folder "
            f"that is there and can be written to."
        ) from None


def _is_readable(row: tuple[object, ...]) -> bool:
    """Whether a row of `pending` holds what was written there; a damaged file may give anything."""
    imodel_id, subject, changeset_id, event_type, last_at, version_id = row
    return (
        isinstance(last_at, float)
        and all(map(_is_text, (imodel_id, subject, event_type)))
        and all(text is None or _is_text(text) for text in (changeset_id, version_id))
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TEXT


class Inbox:
    """Takes each delivery once, and joins pushes that follow one another closely into one.

    Args:
        file: The database.
        quiet_seconds: Changes are announced once none has followed for so long,
        longest_seconds: but not later than so long after the first.
        most: How many deliveries are remembered.
        clock: Seconds since 1970.

    Raises:
        ConfigurationError: The database cannot be opened or made.
    """

    def __init__(
        self,
        file: Path,
        *,
        quiet_seconds: float = 60,
        longest_seconds: float = 600,
        most: int = KEPT_MESSAGES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._quiet = quiet_seconds
        self._longest = longest_seconds
        self._most = most
        self._clock = clock
        self._file = file
        self._database = _opened(file)
        self._unreadable: set[int] = set()

    def take(self, change: Change) -> bool:
        """Remember a delivery; false if it was here before.

        Raises:
            ConfigurationError: The database takes nothing.
        """
        now = self._clock()
        with _database_errors(self._file), self._database:
            fresh = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (change.message_id, now))
            if not fresh.rowcount:
                return False
            waiting = change.model_dump(exclude={"message_id"}) | {"subject": change.subject, "now": now}
            self._database.execute(_WAIT, waiting)
            self._database.execute(_FORGET, {"oldest": now - KEPT_SECONDS, "most": self._most})
        return True

    def ready(self) -> list[PendingChange]:
        """What is to be announced now; a row that makes no sense stays where it is and is logged once.

        Raises:
            ConfigurationError: The database cannot be read.
        """
        now = self._clock()
        with _database_errors(self._file):
            rows = self._database.execute(
                "SELECT rowid, imodel_id, subject, changeset_id, event_type, last_at, version_id FROM pending "
                "WHERE last_at <= ? OR first_at <= ? ORDER BY first_at, subject DESC",
                (now - self._quiet, now - self._longest),
            ).fetchall()
        readable = [row for row in rows if _is_readable(row[1:])]
        self._note_unreadable({row[0] for row in rows if row not in readable})
        return [PendingChange(*row[1:]) for row in readable]

    def _note_unreadable(self, found: set[int]) -> None:
        for number in sorted(found - self._unreadable):
            log.warning("Row %s of “pending” in %s is damaged and is passed over.", number, self._file.absolute())
        self._unreadable |= found

    def announced(self, pending: PendingChange) -> None:
        """Delete it, unless something newer came meanwhile.

        Raises:
            ConfigurationError: The database takes nothing.
        """
        with _database_errors(self._file), self._database:
            self._database.execute(
                "DELETE FROM pending WHERE imodel_id = ? AND subject = ? AND last_at = ?",
                (pending.imodel_id, pending.subject, pending.last_at),
            )

    def close(self) -> None:
        """Close the database."""
        self._database.close()
