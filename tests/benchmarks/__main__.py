"""`make bench`: a tileset brought to the disk by several clients, side by side, over TLS on loopback.

Writes its section of REPORT.md. Needs nginx with its headers-more module, openssl and rclone.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.blob_host import BlobHost, serving
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.report import machine, put_section

ROUNDS = 5
TILES, SIZES = 5_000, (10_000, 500_000)
MANY_TILES, SMALL = 50_000, (1_000, 4_000)
LABELS = {
    "ours": "itwin-export (listed, MD5 checked, checkpoint)",
    "ours_with_sha256": "the same with ITWIN_TILE_SHA256=true",
    "ours_without_md5": "itwin-export, listing without MD5 (SHA-256 noted)",
    "bare_threads": "bare obstore loop, 16 threads, nothing checked",
    "bare_async": "bare obstore loop, 64 at once, nothing checked",
    "bare_md5": "the same in threads, with MD5",
    "bare_both": "the same in threads, with MD5 and SHA-256",
    "azure_sdk": "azure-storage-blob aio, 32 workers",
    "rclone": "rclone copy, 32 transfers (checks MD5)",
}

Measured = dict[str, Any]


def measure(name: str, host: BlobHost, folder: Path) -> Measured:
    """One run of one contender, in a process of its own; nothing of a run before is left to go on from."""
    with tempfile.TemporaryDirectory(dir=folder) as room:
        target = Path(room, "target")
        target.mkdir()
        run = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.contenders", name, host.url, target, host.folder],
            env=os.environ | {"SSL_CERT_FILE": str(host.certificate)},
            stdout=subprocess.PIPE,
            check=True,
        )
    measured: Measured = json.loads(run.stdout)
    assert (measured["files"], measured["bytes"]) == (host.count, host.total_bytes), (name, measured)
    return measured


def compare(folder: Path) -> dict[str, list[Measured]]:
    """Every contender in turn, round after round, so that a busy moment hits all."""
    found: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    with serving(folder, TILES, SIZES) as host:
        for number in range(ROUNDS):
            for name, runs in found.items():
                runs.append(measure(name, host, folder))
                sys.stderr.write(f"round {number + 1}: {name} {runs[-1]['seconds']:.2f} s\n")
    return found


def count_many(folder: Path) -> Measured:
    """Our own way with very many tiles."""
    with serving(folder, MANY_TILES, SMALL) as host:
        return measure("ours", host, folder)


def report(found: dict[str, list[Measured]], many: Measured) -> str:
    """What was measured, in words and a table."""
    ours = typical(found["ours"])
    rows = [
        f"| {LABELS[name]} | {typical(runs):.2f} | {min(run['seconds'] for run in runs):.2f} "
        f"| {typical(runs, 'cpu'):.2f} | {max(run['rss'] for run in runs) / 1e6:.0f} | {ours / typical(runs):.2f} |"
        for name, runs in found.items()
    ]
    size = found["ours"][0]["bytes"] / 1e9
    packages = ["obstore", "azure-storage-blob", "aiohttp"]
    programs = [["nginx", "-v"], ["rclone", "version"], ["openssl", "version"]]
    sizes = f"{SIZES[0] // 1000}–{SIZES[1] // 1000} KB"
    return f"""`make bench`: {TILES} tiles of {sizes} ({size:.2f} GB) over TLS from nginx on loopback, into
memory-backed storage, {ROUNDS} rounds in turn, each client in a process of its own. Ratios can be compared between
machines, seconds cannot. Server and client share the cores, and the link is faster than any real one, so every CPU
second of a check shows.

| client | seconds (median) | best | CPU seconds with imports | peak MB | ours ÷ it, of the medians |
|---|---|---|---|---|---|
{chr(10).join(rows)}

{MANY_TILES} tiles of {SMALL[0] // 1000}–{SMALL[1] // 1000} KB: {many["seconds"]:.1f} s, peak memory
{many["rss"] / 1e6:.0f} MB (with the imports of all contenders).

{machine(packages, programs)}
"""


def typical(runs: list[Measured], member: str = "seconds") -> float:
    """The median of all rounds."""
    return statistics.median(float(run[member]) for run in runs)


def main() -> None:
    """Measure and write the report."""
    memory = Path("/dev/shm")  # noqa: S108  the disk is not what is compared
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        Path(name).chmod(0o755)
        found = compare(_made(Path(name, "some")))
        shutil.rmtree(Path(name, "some"))
        text = report(found, count_many(_made(Path(name, "many"))))
    put_section("Tilesets, side by side", text)
    sys.stdout.write(text)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
