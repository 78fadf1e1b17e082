"""The inbox joins what follows closely, forgets nothing that waits, and does not grow for ever."""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from deployments.webhooks.inbox import KEPT_SECONDS, Inbox
from deployments.webhooks.message import Change

TOWER, BRIDGE = "tower", "bridge"


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(tmp_path: Path, clock: Clock) -> Generator[Inbox]:
    inbox = Inbox(tmp_path / "inbox.sqlite", quiet_seconds=60, longest_seconds=600, most=100, clock=clock)
    yield inbox
    inbox.close()


def change(number: int, imodel_id: str = TOWER, event_type: str = "iModels.changesReady.v1") -> Change:
    """The delivery of a changeset."""
    return Change(
        message_id=f"m-{event_type}-{number}", event_type=event_type, imodel_id=imodel_id, changeset_id=f"c-{number}"
    )


def test_ten_pushes_in_a_minute_are_one_piece_of_news(inbox: Inbox, clock: Clock) -> None:
    """Of pushes that follow one another the newest is announced, once it has been quiet."""
    for number in range(10):
        assert inbox.take(change(number))
        clock.now += 6
        assert not inbox.ready()
    clock.now += 60
    (pending,) = inbox.ready()
    assert (pending.imodel_id, pending.changeset_id) == (TOWER, "c-9")
    inbox.announced(pending)
    assert not inbox.ready()


def test_a_push_and_two_versions_are_three_pieces_of_news(inbox: Inbox, clock: Clock) -> None:
    """What is joined keeps the versions: two of one changeset, and one of the baseline, are announced by their ids."""
    created = "iModels.namedVersionCreated.v1"
    versions = [
        Change(message_id=f"v-{n}", event_type=created, imodel_id=TOWER, changeset_id=changeset, version_id=f"v-{n}")
        for n, changeset in enumerate(["c-3", "c-3", None])
    ]
    for one in [change(1), *versions, change(2)]:
        assert inbox.take(one)
    clock.now += 60
    ready = [(pending.changeset_id, pending.version_id) for pending in inbox.ready()]
    assert sorted(ready, key=str) == [("c-2", None), ("c-3", "v-0"), ("c-3", "v-1"), (None, "v-2")]


def test_a_steady_stream_is_announced_all_the_same(inbox: Inbox, clock: Clock) -> None:
    """Where it never gets quiet, changes wait no longer than the longest time."""
    for number in range(20):
        inbox.take(change(number))
        clock.now += 30
    assert [pending.changeset_id for pending in inbox.ready()] == ["c-19"]


def test_imodels_do_not_wait_for_one_another(inbox: Inbox, clock: Clock) -> None:
    """Pushes to one iModel do not hold back those of another."""
    inbox.take(change(1, BRIDGE))
    clock.now += 45
    inbox.take(change(2, TOWER))
    clock.now += 15
    assert [pending.imodel_id for pending in inbox.ready()] == [BRIDGE]


def test_what_comes_while_announcing_is_not_lost(inbox: Inbox, clock: Clock) -> None:
    """Changes that arrive between reading and deleting are announced too."""
    inbox.take(change(1))
    clock.now += 60
    (pending,) = inbox.ready()
    clock.now += 1
    inbox.take(change(2))
    inbox.announced(pending)
    clock.now += 60
    assert [later.changeset_id for later in inbox.ready()] == ["c-2"]


def test_a_restart_forgets_nothing(inbox: Inbox, clock: Clock, tmp_path: Path) -> None:
    """Another process with the same file knows the deliveries and the pending changes."""
    inbox.take(change(1))
    inbox.close()
    clock.now += 60
    again = Inbox(tmp_path / "inbox.sqlite", clock=clock)
    assert not again.take(change(1))
    assert [pending.changeset_id for pending in again.ready()] == ["c-1"]
    again.close()


def test_memory_is_bounded(inbox: Inbox, clock: Clock) -> None:
    """The oldest deliveries are forgotten by number and by age."""
    for number in range(150):
        clock.now += 1
        inbox.take(change(number))
    assert not inbox.take(change(149))
    assert inbox.take(change(0))
    clock.now += KEPT_SECONDS + 1
    inbox.take(change(1000))
    assert inbox.take(change(149))


def test_a_named_version_is_not_overtaken_by_pushes(inbox: Inbox, clock: Clock) -> None:
    """A named version keeps its changeset though newer ones are pushed right after it; each is announced once."""
    named = "iModels.namedVersionCreated.v1"
    inbox.take(change(1, event_type=named))
    inbox.take(change(1))
    inbox.take(change(2))
    inbox.take(change(3, event_type=named))
    clock.now += 60
    found = inbox.ready()
    assert sorted((pending.event_type, pending.changeset_id) for pending in found) == [
        ("iModels.changesReady.v1", "c-2"),
        (named, "c-1"),
        (named, "c-3"),
    ]
    for pending in found:
        inbox.announced(pending)
    assert not inbox.ready()


def test_the_file_of_an_earlier_release_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    """Changes that waited when the receiver was upgraded are announced, and deliveries of then stay known."""
    file = tmp_path / "earlier.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(
            "CREATE TABLE seen (message_id TEXT PRIMARY KEY, at REAL NOT NULL); CREATE TABLE waiting ("
            "imodel_id TEXT PRIMARY KEY, changeset_id TEXT, event_type TEXT NOT NULL, first_at REAL NOT NULL, "
            "last_at REAL NOT NULL);"
        )
        database.execute("INSERT INTO seen VALUES (?, ?)", (change(1).message_id, clock.now))
        database.execute("INSERT INTO waiting VALUES (?, 'c-1', 'iModels.changesReady.v1', 1, 1)", (TOWER,))
    for _ in range(2):
        inbox = Inbox(file, clock=clock)
        assert [(pending.imodel_id, pending.changeset_id) for pending in inbox.ready()] == [(TOWER, "c-1")]
        assert not inbox.take(change(1))
        inbox.close()


@pytest.mark.parametrize("name", ["missing/inbox.sqlite", "text.sqlite", "."])
def test_a_state_file_that_cannot_be_used_is_named(name: str, tmp_path: Path) -> None:
    """A file that cannot be made or is no database is named, with what to do."""
    (tmp_path / "text.sqlite").write_text("no database at all" * 100)
    with pytest.raises(ConfigurationError, match=r"state file .* cannot be used .*--state-file") as caught:
        Inbox(tmp_path / name)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("imodel_id", b"\xff\x00"),
        ("changeset_id", "x\x1b[2J"),
        ("event_type", b"7"),
        ("last_at", "-inf"),
        ("subject", "x" * 500),
    ],
)
def test_a_damaged_row_holds_up_no_other(
    column: str, value: object, inbox: Inbox, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that makes no sense is logged once and kept; the others are announced."""
    inbox.take(change(1))
    inbox.take(change(2, BRIDGE))
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as database, database:
        database.execute(f"UPDATE pending SET {column} = ?, first_at = 0 WHERE imodel_id = ?", (value, BRIDGE))  # noqa: S608
    clock.now += 600
    assert [pending.imodel_id for pending in inbox.ready()] == [TOWER]
    assert [pending.imodel_id for pending in inbox.ready()] == [TOWER]
    assert len([record for record in caplog.records if "is damaged and is passed over" in record.message]) == 1
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM pending").fetchone() == (2,)
