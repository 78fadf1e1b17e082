"""The inbox joins what follows closely, forgets nothing that waits, and does not grow for ever."""

from collections.abc import Generator
from pathlib import Path

import pytest

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


def change(number: int, imodel_id: str = TOWER) -> Change:
    """The delivery of a changeset."""
    return Change(
        message_id=f"m-{number}", event_type="iModels.changesReady.v1", imodel_id=imodel_id, changeset_id=f"c-{number}"
    )


def test_ten_pushes_in_a_minute_are_one_piece_of_news(inbox: Inbox, clock: Clock) -> None:
    """Of pushes that follow one another the newest is announced, once it has been quiet."""
    for number in range(10):
        assert inbox.take(change(number))
        clock.now += 6
        assert not inbox.ready()
    clock.now += 60
    (news,) = inbox.ready()
    assert (news.imodel_id, news.changeset_id) == (TOWER, "c-9")
    inbox.announced(news)
    assert not inbox.ready()


def test_a_steady_stream_is_announced_all_the_same(inbox: Inbox, clock: Clock) -> None:
    """Where it never gets quiet, news wait no longer than the longest time."""
    for number in range(20):
        inbox.take(change(number))
        clock.now += 30
    assert [news.changeset_id for news in inbox.ready()] == ["c-19"]


def test_imodels_do_not_wait_for_one_another(inbox: Inbox, clock: Clock) -> None:
    """Pushes to one iModel do not hold back the news of another."""
    inbox.take(change(1, BRIDGE))
    clock.now += 45
    inbox.take(change(2, TOWER))
    clock.now += 15
    assert [news.imodel_id for news in inbox.ready()] == [BRIDGE]


def test_what_comes_while_announcing_is_not_lost(inbox: Inbox, clock: Clock) -> None:
    """News that arrive between looking and crossing off are announced too."""
    inbox.take(change(1))
    clock.now += 60
    (news,) = inbox.ready()
    clock.now += 1
    inbox.take(change(2))
    inbox.announced(news)
    clock.now += 60
    assert [later.changeset_id for later in inbox.ready()] == ["c-2"]


def test_a_restart_forgets_nothing(inbox: Inbox, clock: Clock, tmp_path: Path) -> None:
    """Another process with the same file knows the deliveries and the waiting news."""
    inbox.take(change(1))
    inbox.close()
    clock.now += 60
    again = Inbox(tmp_path / "inbox.sqlite", clock=clock)
    assert not again.take(change(1))
    assert [news.changeset_id for news in again.ready()] == ["c-1"]
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
