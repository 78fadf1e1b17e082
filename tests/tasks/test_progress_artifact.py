"""Progress artifacts of exports and batches."""

from dataclasses import dataclass
from typing import Any

import pytest
from prefect import flow, get_client

from tasks.progress_artifact import pause_after, shown

KEY = "export-itwin-whole-percents"


def test_a_long_batch_is_shown_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute two updates of three are left out; a shard has several before it counts as gone."""
    assert [pause_after(seconds) for seconds in (0, 59, 61, 36_000)] == [5, 5, 15, 15]
    monkeypatch.setenv("ITWIN_SHARD_SILENCE_SECONDS", "12")
    assert pause_after(61) == 5
    monkeypatch.setenv("ITWIN_SHARD_SILENCE_SECONDS", "600")
    assert pause_after(61) == 15


@dataclass
class Part:
    """So many of 612 files."""

    percent: float


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.asyncio(loop_scope="session")
async def test_whole_percents_are_shown() -> None:
    """The UI shows every digit, so there are none behind the point; 100 is said when all has ended, not before."""
    assert await flow(percents_of)(79.04411764705883, 99.99) == [79, 99]


async def percents_of(first: float, then: float) -> list[Any]:
    """The percentages that the artifact of a batch shows for two values of its progress, one after the other."""
    part = Part(first)
    async with shown(part, KEY):
        said = [await read_percent()]
        part.percent = then
    return [*said, await read_percent()]


async def read_percent() -> Any:
    """What the artifact says."""
    async with get_client() as client:
        found = await client.request("POST", "/artifacts/filter", json={"artifacts": {"key": {"any_": [KEY]}}})
    (artifact,) = found.json()
    return artifact["data"]
