"""Ctrl-C and termination signals to a whole command while a host sends it a byte now and then."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.bombs.front import bomb_before
from tests.bombs.server import Answer, Query, slow_answer

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]
LONGEST_START = 300
PROMISED = 60
WAITS = {
    "tile": (("mesh", SEEDED.plant), r"\.glb$"),
    "file": (("ifc", SEEDED.plant), r"/files/"),
    "answer": (("list", "imodels", SEEDED.itwin), r"^/imodels"),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", WAITS)
async def test_a_signal_ends_a_slow_transfer(
    what: str,
    number: signal.Signals,
    sandbox: RunningSandbox,
    prefect_server: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The command ends within seconds, with 130 and a sentence; nothing is published."""
    arguments, pattern = WAITS[what]
    asked = asyncio.Event()

    def slow(_path: str, _query: Query) -> Answer:
        asked.set()
        return slow_answer("body")

    server = {} if what == "answer" else {"PREFECT_API_URL": prefect_server}
    async with bomb_before(sandbox.url, pattern, slow) as url:
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deployments", *arguments,
                env={**os.environ, "ITWIN_API_URL": url, **server}, stderr=log,
            )  # fmt: skip
        await asyncio.wait_for(asked.wait(), LONGEST_START)
        process.send_signal(number)
        since = time.monotonic()
        exit_code = await asyncio.wait_for(process.wait(), PROMISED)
    record_property("seconds", round(time.monotonic() - since, 1))
    said = (tmp_path / "log").read_text()
    sys.stdout.write(f"{what} {number.name}: {time.monotonic() - since:.1f} s, {exit_code}, {said.splitlines()[-1]}\n")
    assert exit_code == 130
    assert said.splitlines()[-1].startswith("itwin-export: Interrupted.")
    assert "Traceback" not in said
    left = {path.name for path in (tmp_path / "exports").rglob("*") if ".itwin-export" not in path.parts}
    assert not left - {SEEDED.plant}
