"""The content report of a tileset of 50,000 tiles: `python -m tests.benchmarks.tileset_content`."""

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from blocks.storage.tileset.verify import verify_tileset
from deployments.sandbox.content.tiles import TilesSubject, build_tiles
from tests.benchmarks.big_file import REPOSITORY, peak_megabytes
from tests.benchmarks.report import machine, put_section

TILES = 50_000


def write_tiles(folder: Path, tiles: int) -> int:
    """The stand-in platform's tileset with so many tiles; returns its size."""
    size = 0
    for name, blob in build_tiles(TilesSubject("i", "c", tiles), datetime.now(UTC)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        size += path.write_bytes(blob.read())
    return size


def read(folder: Path) -> None:
    """Read it and say what that took."""
    started, used = time.perf_counter(), time.process_time()
    tiles = verify_tileset(folder).content.tiles
    taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used, "peak_mb": peak_megabytes()}
    sys.stdout.write(json.dumps({"tiles": tiles, **taken}) + "\n")


def main() -> None:
    """Read it in a process of its own and write the section."""
    with tempfile.TemporaryDirectory() as name:
        size = write_tiles(Path(name), TILES)
        command = [sys.executable, "-m", "tests.benchmarks.tileset_content", name]
        took = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY).stdout)
    assert took["tiles"] == TILES + 1
    text = f"""`python -m tests.benchmarks.tileset_content`: {took["tiles"]} tiles in nested tilesets
({size / 1e6:.0f} MB on the disk, just written), with the check of every file's header:
{took["seconds"]:.1f} s by the clock, {took["cpu"]:.1f} CPU seconds, peak memory {took["peak_mb"]:.0f} MB.

{machine(["pydantic"])}
"""
    put_section("Content report of a tileset", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder]:
            read(Path(folder))
        case _:
            main()
