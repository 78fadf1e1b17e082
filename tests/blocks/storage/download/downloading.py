"""What the tests of downloads share: two sources, hasty retries, a blob."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.signed_url import SignedUrl
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import DownloadedFile, Progress, download
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.renewable_link import FetchLink, fixed_link
from blocks.storage.retry import RetryPolicy
from tests.blocks.storage.download.fault_server import FaultServer

CHUNK = 10_000
CONTENT = hashlib.shake_128(b"model").digest(95_432)
OTHER = hashlib.shake_128(b"other").digest(95_432)
HASTY = RetryPolicy(attempts=5, first_pause=0.001, longest_pause=0.01)

Source = Callable[[FetchLink], HttpRanges | AzureBlobRanges]


def http(fetch_link: FetchLink) -> HttpRanges:
    return HttpRanges(fetch_link, stall_seconds=0.3)


def azure(fetch_link: FetchLink) -> AzureBlobRanges:
    return AzureBlobRanges(fetch_link, stall_seconds=0.3)


both = pytest.mark.parametrize("make_source", [http, azure])


@dataclass(frozen=True)
class Options:
    link: FetchLink | None = None
    workers: int = 4
    retry_policy: RetryPolicy = HASTY
    on_progress: Progress | None = None


DEFAULT = Options()


async def fetch(
    server: FaultServer, target: Path, make_source: Source = http, options: Options = DEFAULT
) -> DownloadedFile:
    async with make_source(options.link or fixed_link(SignedUrl(server.link()))) as source:
        return await download(
            source,
            target,
            chunk_size=CHUNK,
            workers=options.workers,
            on_progress=options.on_progress,
            retry_policy=options.retry_policy,
        )


def content(file: DownloadedFile) -> bytes:
    return file.path.read_bytes()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
