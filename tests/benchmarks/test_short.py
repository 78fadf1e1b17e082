"""The short version of `make bench`: no nginx, no seconds, one claim."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path

import pytest

from tests.benchmarks.contenders import bare_threads, ours

TILES, SIZE, TRIES = 300, 100_000, 3
NAMES = ["tileset.json", *(f"tiles/{number}.glb" for number in range(TILES))]


@pytest.fixture
def link() -> Generator[str]:
    """The link of a container that another process serves."""
    command = [sys.executable, "-m", "tests.benchmarks.small_host", str(TILES), str(SIZE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as host:
        assert host.stdout
        yield host.stdout.readline().strip()
        host.kill()


def test_proof_costs_little(link: str, tmp_path: Path) -> None:
    """To list, hash and note every tile takes at most four times the processor time of a loop that checks nothing."""
    folders = count()

    def cost(way: Callable[[str, list[str], Path], None]) -> float:
        target = tmp_path / str(next(folders))
        started = time.process_time()
        way(link, NAMES, target)
        return time.process_time() - started

    ways = [(cost(ours), cost(bare_threads)) for _ in range(TRIES)]
    assert min(mine for mine, _ in ways) < 4 * min(bare for _, bare in ways)
