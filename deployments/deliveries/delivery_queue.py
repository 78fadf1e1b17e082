"""Deliveries of events to outgoing webhooks, kept on disk until each has been taken, has failed, or is out of date."""

import json
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from blocks.disk import open_private
from blocks.errors import ConfigurationError

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
GIVEN_UP_AFTER = 24 * 3600.0
"""Seconds after the first attempt at which a delivery counts as undeliverable."""
REMEMBERED = 9 * 24 * 3600.0
"""Seconds for which a delivery is known: longer than an event may wait in the outbox of an export (a week)."""
_NAMESPACE = UUID("0bb1a1c1-8a52-5d0e-8f0d-5cf2d7f0c5a2")
_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    block TEXT NOT NULL,
    subject TEXT NOT NULL,
    body BLOB,
    attempts INTEGER NOT NULL DEFAULT 0,
    taken_up_at REAL NOT NULL,
    first_at REAL,
    next_at REAL NOT NULL,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (block, subject, number) WHERE body IS NOT NULL;
"""
_FIRST_OF_EACH_SUBJECT = """
SELECT id, block, subject, body, attempts, first_at, error FROM deliveries AS one
WHERE body IS NOT NULL AND next_at <= :now AND NOT EXISTS (
    SELECT 1 FROM deliveries AS before WHERE before.body IS NOT NULL AND before.block = one.block
    AND before.subject = one.subject AND before.number < one.number
) ORDER BY number
"""


@dataclass(frozen=True)
class Delivery:
    """An event on its way to a webhook; `first_at` is the time of the first attempt, None before it."""

    id: str
    block: str
    subject: str
    body: bytes
    attempts: int = 0
    first_at: float | None = None
    error: str = ""


@dataclass(frozen=True)
class WaitingDeliveries:
    """What a webhook has not taken yet; `error` is that of the oldest."""

    block: str
    count: int
    since: float
    error: str


def delivery_id(event_id: str, block: str) -> str:
    """The same for each attempt, and for an event that is read again."""
    return str(uuid5(_NAMESPACE, f"{event_id}\0{block}"))


class DeliveryQueue:
    """The deliveries of all webhooks. Of one subject (an iModel) only the oldest is due, so that the order is kept.

    Raises:
        ConfigurationError: The database cannot be opened or made.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._errors():
            open(file, "ab", opener=open_private).close()
            self._database = sqlite3.connect(file)
            self._database.executescript(_SCHEMA)

    def add(self, deliveries: Iterable[Delivery], now: float) -> None:
        """Keep new deliveries in this order; one that is known has no effect."""
        rows = [(one.id, one.block, one.subject, one.body, now, now) for one in deliveries]
        with self._errors(), self._database:
            self._database.executemany(
                "INSERT OR IGNORE INTO deliveries (id, block, subject, body, taken_up_at, next_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def due(self, now: float) -> list[Delivery]:
        """The oldest delivery of each webhook and subject, if its next attempt is due."""
        with self._errors():
            found = self._database.execute(_FIRST_OF_EACH_SUBJECT, {"now": now}).fetchall()
        return [Delivery(*row) for row in found]

    def taken(self, delivery: Delivery) -> None:
        """The webhook has taken it."""
        self._end(delivery, "")

    def failed(self, delivery: Delivery, error: str, now: float) -> None:
        """Note a failed attempt; after the last one the delivery is given up."""
        first_at = delivery.first_at if delivery.first_at is not None else now
        if now - first_at >= GIVEN_UP_AFTER:
            self._end(delivery, error)
            return
        pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts, 20), LONGEST_PAUSE)
        with self._errors(), self._database:
            self._database.execute(
                "UPDATE deliveries SET attempts = attempts + 1, first_at = ?, next_at = ?, error = ? WHERE id = ?",
                (first_at, now + pause, error, delivery.id),
            )

    def forget(self, known_blocks: Iterable[str], now: float) -> None:
        """Delete what is out of date, and what waits for webhooks that are not there any more."""
        blocks = json.dumps(list(known_blocks))
        with self._errors(), self._database:
            self._database.execute("DELETE FROM deliveries WHERE taken_up_at < ?", (now - REMEMBERED,))
            self._database.execute(
                "DELETE FROM deliveries WHERE body IS NOT NULL AND block NOT IN (SELECT value FROM json_each(?))",
                (blocks,),
            )

    def waiting(self) -> list[WaitingDeliveries]:
        """What has failed at least once and waits for its next attempt, by webhook."""
        with self._errors():
            found = self._database.execute(
                "SELECT block, COUNT(*), MIN(taken_up_at), MAX(error) FROM deliveries "
                "WHERE body IS NOT NULL GROUP BY block HAVING MAX(attempts) > 0 ORDER BY block"
            ).fetchall()
        return [WaitingDeliveries(*row) for row in found]

    def given_up(self) -> list[Delivery]:
        """What was given up and not told yet, without its bodies."""
        with self._errors():
            found = self._database.execute(
                "SELECT id, block, subject, x'', attempts, first_at, error FROM deliveries "
                "WHERE body IS NULL AND error <> '' ORDER BY number"
            ).fetchall()
        return [Delivery(*row) for row in found]

    def told(self, delivery: Delivery) -> None:
        """That it was given up has been told."""
        self._end(delivery, "")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _end(self, delivery: Delivery, error: str) -> None:
        """Only the id stays, by which the event is known if it is read again."""
        with self._errors(), self._database:
            self._database.execute("UPDATE deliveries SET body = NULL, error = ? WHERE id = ?", (error, delivery.id))

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"The state file {self._file.absolute()} cannot be used ({error}). Name one with --state-file, in a "
                f"folder that is there and can be written to."
            ) from None
