"""An export of tiles whose process is killed."""

import json
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.processes.server import PrefectServer

HALF = 300
MOMENT = 1.0
"""Longer than the checkpoint waits before it writes."""


@pytest.fixture
def sandbox() -> Generator[RunningSandbox]:
    """A platform with a tileset of 600 tiles, half of which never come at first."""
    with running_sandbox(options=Options(mesh_seconds=0.1)) as sandbox:
        sandbox.state.faults.add(Fault(path=r"\.glb$", nth=HALF + 1, count=None, delay=3600))
        yield sandbox


def delivered(sandbox: RunningSandbox) -> set[str]:
    return {entry.path for entry in sandbox.state.log if entry.path.endswith(".glb") and entry.status == 200}


@pytest.mark.crash
def test_what_was_here_before_the_kill_is_not_fetched_again(
    server: PrefectServer, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """After a SIGKILL at half of the tiles the next run fetches the other half, and the tileset is right."""
    settings = sandbox.environment | {"ITWIN_OUTPUT_DIR": str(tmp_path), "ITWIN_POLL_SECONDS": "0.1"}
    command = ["-m", "deployments", "mesh", SEEDED.stadium, "--json"]
    first = server.start(command, settings, log="killed.log")
    while len(delivered(sandbox)) < HALF:
        assert first.poll() is None
        time.sleep(0.1)
    time.sleep(MOMENT)
    first.kill()
    first.wait()
    before = delivered(sandbox)
    assert not (tmp_path / SEEDED.stadium / "mesh").exists()

    sandbox.state.faults.clear()
    sandbox.state.log.clear()
    second = server.start(command, settings)
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    assert delivered(sandbox).isdisjoint(before)
    report = json.loads(said.splitlines()[-1])
    folder = tmp_path / SEEDED.stadium / "mesh"
    wanted = {name: blob.read() for name, blob in sandbox.state.blobs.containers[report["run_id"]].items()}
    assert len(before) + len(delivered(sandbox)) == report["tile_count"]
    assert {name: (folder / name).read_bytes() for name in wanted} == wanted
