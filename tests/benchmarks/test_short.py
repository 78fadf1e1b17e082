"""The short version of `make bench`: no nginx, no seconds, one claim."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.big_file import GIGABYTE, SOURCES, big_blob, measure
from tests.benchmarks.contenders import bare_threads, ours
from tests.benchmarks.hundred_thousand import LOOKS_PER_RUN, REQUESTS_PER_EXPORT, Night, simulate
from tests.benchmarks.ifc_content import measure as measure_content
from tests.benchmarks.ifc_content import write_long_line, write_walls
from tests.benchmarks.into_a_store import KINDS, compare
from tests.benchmarks.slots_plot import Sample, smoothed

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


@pytest.mark.parametrize("source", SOURCES)
def test_memory_does_not_grow_with_the_file(source: str, tmp_path: Path) -> None:
    """A file of half a gigabyte takes no more than 300 MB, however many ranges are on their way at once."""
    with big_blob(GIGABYTE // 2, tmp_path) as link:
        assert measure(source, link, tmp_path)["peak_mb"] <= 300


def test_tiles_go_from_one_store_into_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 tiles arrive in the other store with all their bytes, and the process uses at most 250 MB of memory."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")  # the benchmark sets them
    total, found = compare(tmp_path, "tiles", KINDS["tiles"][:1], 1, 40)
    (run,) = found["ours"]
    assert run["bytes"] == total
    assert run["peak_mb"] <= 250


@pytest.mark.parametrize("make", [write_walls, write_long_line])
def test_a_content_report_takes_the_same_memory_of_any_file(make: Callable[[Path, int], int], tmp_path: Path) -> None:
    """Three times as long a file, or one line of it all, takes hardly more memory, and never 150 MB."""
    path, peaks = tmp_path / "model.ifc", list[float]()
    for size in (10_000_000, 30_000_000):
        walls = make(path, size)
        took = measure_content(path, checks_references=True)
        assert took["walls"] == walls
        peaks.append(took["peak_mb"])
    assert peaks[1] < min(150, peaks[0] + 20)


@pytest.mark.parametrize(
    "better", [{"requests_per_minute": 900}, {"task_runs_per_second": 40.0}, {"max_active": 40}, {"changed": 0.0}]
)
def test_a_night_on_paper_makes_sense(better: dict[str, Any]) -> None:
    """More of anything scarce never makes a night longer, and it is never shorter than what each of them dictates."""
    night = Night(imodels=1000, changed=0.1, run_seconds=60, requests_per_minute=450, max_active=20)
    outcome = simulate(night)
    assert simulate(replace(night, **better)).seconds <= outcome.seconds
    assert outcome.seconds >= 1000 * 0.1 / 20 * 60
    assert outcome.seconds >= (1000 + 100 * REQUESTS_PER_EXPORT) / 450 * 60 - 60
    assert outcome.requests >= 1000 + 100 * (REQUESTS_PER_EXPORT + 0.95 * LOOKS_PER_RUN)  # it counts whole seconds


def test_slots_are_averaged_over_half_a_minute() -> None:
    """A slot that is taken every other second counts as a half, and nothing older than half a minute counts."""
    seconds = [Sample(float(second), slots=0, held=0, working=0, published=0) for second in range(120)]
    taken = [float(second < 60 and second % 2) for second in range(120)]
    means = smoothed(seconds, taken)
    assert 0.45 < means[59] < 0.55
    assert means[0] == means[95] == 0
