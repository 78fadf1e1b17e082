"""The memory that one big file takes: `python -m tests.benchmarks.big_file`; writes its section of REPORT.md."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from blocks.signed_url import SignedUrl
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import download
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.renewable_link import fixed_link
from tests.benchmarks.report import machine, put_section

REPOSITORY = Path(__file__).parents[2]
SOURCES = {"http": HttpRanges, "azure": AzureBlobRanges}
GIGABYTE = 1_000_000_000
FACTS = {
    "ETag": '"0x1"',
    "Last-Modified": "Wed, 25 Nov 2026 00:00:00 GMT",
    "x-ms-version": "2024-08-04",
    "x-ms-blob-type": "BlockBlob",
}


class Hole(BaseHTTPRequestHandler):
    """One blob of nothing but zeros, in ranges, as fast as the kernel sends."""

    protocol_version = "HTTP/1.1"
    blob: ClassVar[Path]

    def do_HEAD(self) -> None:
        """Size and version."""
        self._begin(200, self.blob.stat().st_size)

    def do_GET(self) -> None:
        """A range."""
        size = self.blob.stat().st_size
        asked = self.headers.get("x-ms-range") or self.headers["Range"]
        first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
        last = min(last, size - 1)
        self._begin(206, last + 1 - first, f"bytes {first}-{last}/{size}")
        with self.blob.open("rb") as file:
            while first <= last:
                first += os.sendfile(self.connection.fileno(), file.fileno(), first, last + 1 - first)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""

    def _begin(self, status: int, length: int, extent: str = "") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), "Content-Range": extent, **FACTS}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()


def serve(size: int, folder: Path) -> None:
    """Serve a blob of so many bytes until killed; the first line says where."""
    Hole.blob = folder / "blob"
    with Hole.blob.open("wb") as file:
        file.truncate(size)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hole) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}/account/container/model.ifc?sv=2024-08-04&sig=none\n")
        sys.stdout.flush()
        server.serve_forever()


async def fetch(source: str, link: str, target: Path) -> None:
    """Fetch it and say what that took."""
    started = time.perf_counter()
    async with SOURCES[source](fixed_link(SignedUrl(link))) as ranges:
        arrived = await download(ranges, target)
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"bytes": arrived.size, "seconds": seconds, "peak_mb": peak_megabytes()}) + "\n")


def peak_megabytes() -> float:
    """The most memory this program has held; `getrusage` would tell that of the process which started it, if larger."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


@contextmanager
def big_blob(size: int, folder: Path) -> Generator[str]:
    """The link of a blob of so many bytes, served by another process."""
    command, pipe, nothing = _command("serve", str(size), folder), subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=pipe, stderr=nothing, text=True, cwd=REPOSITORY) as host:
        assert host.stdout
        try:
            yield host.stdout.readline().strip()
        finally:
            host.kill()


def measure(source: str, link: str, folder: Path) -> dict[str, Any]:
    """Fetch it in a process of its own."""
    command = _command("fetch", source, link, folder / source)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
    (folder / source).unlink()
    return json.loads(done.stdout)


def main() -> None:
    """Measure five gigabytes and write the section."""
    with tempfile.TemporaryDirectory() as name, big_blob(5 * GIGABYTE, Path(name)) as link:
        found = {source: measure(source, link, Path(name)) for source in SOURCES}
    rows = [f"| {source} | {one['seconds']:.1f} | {one['peak_mb']:.0f} |" for source, one in found.items()]
    text = f"""`make bench`: one blob of 5 GB from a server on
loopback, hashed on the way.

| source | seconds | peak MB |
|---|---|---|
{chr(10).join(rows)}

{machine(["aiohttp", "azure-storage-blob"])}
"""
    put_section("One big file", text)
    sys.stdout.write(text)


def _command(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "tests.benchmarks.big_file", *arguments]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", size, folder]:
            serve(int(size), Path(folder))
        case ["fetch", source, link, target]:
            asyncio.run(fetch(source, link, Path(target)))
        case _:
            main()
