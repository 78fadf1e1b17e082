"""How often the progress of exports is shown in the Prefect UI."""

import pytest

from tasks.progress_artifact import pause_after


def test_a_long_batch_is_shown_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute two updates of three are left out; a shard has several before it counts as gone."""
    assert [pause_after(seconds) for seconds in (0, 59, 61, 36_000)] == [5, 5, 15, 15]
    monkeypatch.setenv("ITWIN_SHARD_SILENCE_SECONDS", "12")
    assert pause_after(61) == 5
    monkeypatch.setenv("ITWIN_SHARD_SILENCE_SECONDS", "600")
    assert pause_after(61) == 15
