"""Ways to bring a tileset to the disk, each for a process of its own: `python -m tests.benchmarks.contenders NAME …`.

Prints one JSON line: seconds of work without imports, and the highest memory of the process.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
from azure.storage.blob.aio import ContainerClient
from obstore.store import HTTPStore

from blocks.signed_url import SignedUrl
from blocks.storage.renewable_link import fixed_link
from blocks.storage.tileset.download import fetch_tileset
from tests.benchmarks.blob_host import PLAIN

SDK_WORKERS, LOOP_THREADS, LOOP_AT_ONCE, RCLONE_TRANSFERS = 32, 16, 64, 32


def ours(url: str, _names: list[str], target: Path) -> None:
    """With proof: listed, hashed, recorded in a checkpoint."""
    asyncio.run(fetch_tileset(fixed_link(SignedUrl(url)), target))


def ours_with_sha256(url: str, _names: list[str], target: Path) -> None:
    """The same with both digests noted."""
    asyncio.run(fetch_tileset(fixed_link(SignedUrl(url)), target, with_sha256=True))


def ours_without_md5(url: str, _names: list[str], target: Path) -> None:
    """The same where the platform's listing has no MD5, as with blobs that were written in blocks."""
    asyncio.run(fetch_tileset(fixed_link(SignedUrl(url.replace("/container?", f"/{PLAIN}?"))), target))


def bare_threads(url: str, names: list[str], target: Path) -> None:
    """The least one can write: obstore's blocking calls in threads; nothing is checked."""
    _in_threads(url, names, target)


def bare_md5(url: str, names: list[str], target: Path) -> None:
    """The threads once more, with the MD5 of each file worked out: what a check of it must cost."""
    _in_threads(url, names, target, hashlib.md5)


def bare_both(url: str, names: list[str], target: Path) -> None:
    """The same with SHA-256 as well: all the digests that a manifest promises, and nothing else."""
    _in_threads(url, names, target, hashlib.md5, hashlib.sha256)


def bare_async(url: str, names: list[str], target: Path) -> None:
    """The same with obstore's asynchronous calls."""
    store = _store(url)

    async def fetch(waiting: Iterable[str]) -> None:
        for name in waiting:
            got = await obstore.get_async(store, name)
            (target / name).write_bytes(bytes(await got.bytes_async()))

    async def run() -> None:
        waiting = iter(names)
        await asyncio.gather(*(fetch(waiting) for _ in range(LOOP_AT_ONCE)))

    _make_folders(names, target)
    asyncio.run(run())


def azure_sdk(url: str, names: list[str], target: Path) -> None:
    """azure-storage-blob aio with 32 workers."""

    async def fetch(container: ContainerClient, waiting: Iterable[str]) -> None:
        for name in waiting:
            (target / name).write_bytes(await (await container.download_blob(name)).readall())

    async def run() -> None:
        waiting = iter(names)
        async with ContainerClient.from_container_url(url) as container:
            await asyncio.gather(*(fetch(container, waiting) for _ in range(SDK_WORKERS)))

    _make_folders(names, target)
    asyncio.run(run())


def rclone(url: str, _names: list[str], target: Path) -> None:
    """Rclone's own backend for Azure containers."""
    command = ["rclone", "copy", ":azureblob:container", target, f"--azureblob-sas-url={url}"]
    pace = [
        f"--transfers={RCLONE_TRANSFERS}",
        "--checkers=32",
        "--fast-list",
        f"--ca-cert={os.environ['SSL_CERT_FILE']}",
    ]
    subprocess.run([*command, *pace, "--config=", "--stats=0", "--retries=1"], check=True)


CONTENDERS: dict[str, Callable[[str, list[str], Path], None]] = {
    function.__name__: function
    for function in (
        ours,
        ours_with_sha256,
        ours_without_md5,
        bare_threads,
        bare_async,
        bare_md5,
        bare_both,
        azure_sdk,
        rclone,
    )
}


def _in_threads(url: str, names: list[str], target: Path, *digests: Callable[..., Any]) -> None:
    store = _store(url)

    def fetch(name: str) -> None:
        content = memoryview(obstore.get(store, name).bytes())
        for digest in digests:
            digest(content, usedforsecurity=False).hexdigest()
        (target / name).write_bytes(content)

    _make_folders(names, target)
    with ThreadPoolExecutor(LOOP_THREADS) as pool:
        for _ in pool.map(fetch, names):
            pass


def _store(url: str) -> HTTPStore:
    if url.startswith("http://"):
        return HTTPStore(url, client_options={"allow_http": True}, retry_config={"max_retries": 0})
    certificates = Path(os.environ["SSL_CERT_FILE"]).read_bytes()
    return HTTPStore(url, client_options={"root_certificate": certificates}, retry_config={"max_retries": 0})


def _make_folders(names: list[str], target: Path) -> None:
    for folder in {(target / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)


def main(name: str, url: str, target: Path, source: Path) -> None:
    """Run one tool and print its duration (seconds) and peak memory (MB) as JSON."""
    from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage  # noqa: PLC0415  not on Windows

    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    started = time.perf_counter()
    CONTENDERS[name](url, names, target)
    seconds = time.perf_counter() - started
    peak = max(getrusage(RUSAGE_SELF).ru_maxrss, getrusage(RUSAGE_CHILDREN).ru_maxrss) * 1024
    files = [path for path in target.rglob("*") if path.is_file()]
    cpu = sum(getrusage(who).ru_utime + getrusage(who).ru_stime for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    result = {"seconds": seconds, "cpu": cpu, "rss": peak, "files": len(files)}
    sys.stdout.write(json.dumps(result | {"bytes": sum(path.stat().st_size for path in files)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
