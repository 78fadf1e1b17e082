"""The process that meets a bomb: asks a host for something, and says how it ended and how much memory that took."""

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from blocks.errors import ExportError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.api.imodels import IModelsApi
from blocks.itwin.client import ItwinClient
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from blocks.signed_url import SignedUrl
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.source import BlobProperties
from blocks.storage.renewable_link import fixed_link
from blocks.storage.retry import RetryPolicy
from blocks.storage.tileset.download import fetch_tileset
from blocks.storage.tileset.verify import verify_tileset

ONCE = RetryPolicy(attempts=1)


class Token:
    """A provider of one token."""

    async def token(self, rejected: str | None = None) -> str:
        """The token."""
        del rejected
        return "token"


async def ask(kind: str, url: str) -> None:
    """Ask the host."""
    match kind:
        case "tiles":
            with TemporaryDirectory() as folder:
                await fetch_tileset(fixed_link(SignedUrl(f"{url}/c?sig=x")), Path(folder, "staging"), retry_policy=ONCE)
                verify_tileset(Path(folder, "staging"))
        case "azure":
            async with AzureBlobRanges(fixed_link(SignedUrl(f"{url}/account/c/b?sig=x"))) as source:
                async for _ in source.read(0, 1000, BlobProperties(100_000, '"v1"')):
                    pass
        case _:
            limiter = RequestLimiter(1_000_000)
            api = IModelsApi(ItwinClient(url, AllowedHosts(url, url), Transport(limiter), Token()))
            if kind == "imodel":
                await api.get_imodel("i")
            else:
                _ = [imodel async for imodel in api.list_imodels("t")]


def peak_mib() -> int:
    """The most memory this process has had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """Print how it ended, the memory and the seconds."""
    started = time.monotonic()
    before = peak_mib()
    try:
        asyncio.run(ask(*sys.argv[1:3]))
        end = "done"
    except ExportError as error:
        end = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{peak_mib()}\n{before}\n{time.monotonic() - started:.1f}\n{end}\n")


main()
