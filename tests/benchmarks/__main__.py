"""`make bench`: a tileset brought to the disk by several clients, side by side, over TLS on loopback.

Writes what it measured to REPORT.md beside this file. Needs nginx with its headers-more module, openssl and rclone.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.blob_host import BlobHost, serving
from tests.benchmarks.contenders import CONTENDERS

ROUNDS = 5
TILES, SIZES = 5_000, (10_000, 500_000)
MANY, SMALL = 50_000, (1_000, 4_000)
REPORT = Path(__file__).with_name("REPORT.md")
LABELS = {
    "ours": "itwin-export (listed, SHA-256 and MD5 checked, journal)",
    "ours_without_md5": "itwin-export, listing without MD5 (SHA-256 noted)",
    "bare_threads": "bare obstore loop, 16 threads, nothing checked",
    "bare_async": "bare obstore loop, 64 at once, nothing checked",
    "bare_md5": "the same in threads, with MD5",
    "azure_sdk": "azure-storage-blob aio, 32 workers",
    "rclone": "rclone copy, 32 transfers (checks MD5)",
}

Measured = dict[str, Any]


def measure(name: str, host: BlobHost, folder: Path) -> Measured:
    """One run of one contender, in a process of its own."""
    target = folder / "target"
    target.mkdir()
    try:
        run = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.contenders", name, host.url, target, host.folder],
            env=os.environ | {"SSL_CERT_FILE": str(host.certificate)},
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        shutil.rmtree(target)
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
    with serving(folder, MANY, SMALL) as host:
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
    return f"""# Tilesets, side by side

`make bench`: {TILES} tiles of {SIZES[0] // 1000}–{SIZES[1] // 1000} KB ({size:.2f} GB) over TLS from nginx on loopback,
into memory-backed storage, {ROUNDS} rounds in turn, each client in a process of its own. Ratios travel, seconds do not.
Server and client share the cores, and the link is faster than any real one, so every CPU second of a check shows.

| client | seconds (median) | best | CPU seconds with imports | peak MB | ours ÷ it, of the medians |
|---|---|---|---|---|---|
{chr(10).join(rows)}

{MANY} tiles of {SMALL[0] // 1000}–{SMALL[1] // 1000} KB: {many["seconds"]:.1f} s, peak memory
{many["rss"] / 1e6:.0f} MB (with the imports of all contenders).

## Machine

{chr(10).join(f"* {line}" for line in machine())}
"""


def typical(runs: list[Measured], member: str = "seconds") -> float:
    """The median of all rounds."""
    return statistics.median(float(run[member]) for run in runs)


def machine() -> list[str]:
    """What it was measured with."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("obstore", "azure-storage-blob", "aiohttp"))
    programs = [["nginx", "-v"], ["rclone", "version"], ["openssl", "version"]]
    cores = f"{os.cpu_count()} cores ({_processor()})"
    return [
        f"{cores}, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the end",
        f"Python {platform.python_version()}, {packages}",
        ", ".join(_first_line(program) for program in programs),
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _first_line(program: list[str]) -> str:
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    said = subprocess.run(program, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True)
    return (said.stdout or said.stderr).splitlines()[0]


def main() -> None:
    """Measure and write the report."""
    memory = Path("/dev/shm")  # noqa: S108  the disk is not what is compared
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        Path(name).chmod(0o755)
        found = compare(_made(Path(name, "some")))
        shutil.rmtree(Path(name, "some"))
        text = report(found, count_many(_made(Path(name, "many"))))
    REPORT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
