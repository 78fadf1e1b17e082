"""The progress of one export, as a percentage and as a sentence."""

import time

import pytest

from tasks.export_progress import (
    ActiveExports,
    ExportProgress,
    Transfer,
    current_progress,
    duration,
    following,
    shown_exports,
)


def test_the_percentage_never_goes_back() -> None:
    """Whatever order the states come in, and however the total of a download grows, the percentage only grows."""
    progress = ExportProgress("ifc", "imodel")
    seen = [progress.percent]

    def look() -> None:
        seen.append(progress.percent)

    for state in ("Queued", "Executing", "WaitingToRetry", "something new", "Executing", "Finalizing", "Completed"):
        progress.note_state(state)
        look()
    progress.enter("fetching")
    for done, total in ((0, 0), (10, 100), (90, 100), (90, 1000), (5, 10), (1000, 1000)):
        progress.note_files(done, total)
        look()
    for step in ("checking", "waiting", "publishing", "published"):
        progress.enter(step)
        look()
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 100)


def test_a_step_that_is_repeated_keeps_its_first_time() -> None:
    """A retry of a download does not shorten its time."""
    progress = ExportProgress("ifc", "imodel")
    progress.enter("fetching")
    first = progress.began["fetching"]
    progress.enter("fetching")
    assert progress.began["fetching"] == first


def test_the_sentence_says_what_is_waited_for() -> None:
    """State at the platform first, then amount, rate and time left of the download."""
    progress = ExportProgress("ifc", "imodel")
    progress.enter("waiting")
    progress.note_state("Queued")
    assert str(progress) == "imodel: at the platform, export run Queued"
    progress.enter("fetching")
    progress.note_bytes(0, 40_000_000)
    assert str(progress) == "imodel: fetching 0 bytes of 40.0 MB"
    progress.transfer = Transfer("bytes", 10_000_000, 40_000_000, began=time.monotonic() - 2)
    assert str(progress) == "imodel: fetching 10.0 MB of 40.0 MB at 5.0 MB/s, about 6.0 s left"


def test_who_shows_exports_sees_those_that_run() -> None:
    """An export is among the active ones for as long as it runs."""
    active = ActiveExports()
    token = shown_exports.set(active)
    progress = ExportProgress("mesh", "imodel")
    with following(progress):
        assert active.exports == [progress]
        assert current_progress() is progress
    assert active.exports == []
    assert current_progress() is not progress
    shown_exports.reset(token)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.42, "0.4 s"), (12.4, "12 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (9.97, "10.0 s")]
)
def test_lengths_of_time_are_for_people(seconds: float, said: str) -> None:
    """A length has the two units that matter."""
    assert duration(seconds) == said
