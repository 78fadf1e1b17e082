"""What the tests of tilesets share."""

from dataclasses import dataclass
from pathlib import Path

from blocks.signed_url import SignedUrl
from blocks.storage.renewable_link import FetchLink, fixed_link
from blocks.storage.retry import RetryPolicy
from blocks.storage.tileset.download import FetchedTileset, fetch_tileset
from tests.blocks.storage.tileset.tile_server import TileServer

HASTY = RetryPolicy(attempts=3, first_pause=0.001, longest_pause=0.01)


@dataclass(frozen=True)
class Options:
    link: FetchLink | None = None
    previous: Path | None = None
    retry_policy: RetryPolicy = HASTY
    with_sha256: bool = False


async def fetch(server: TileServer, staging: Path, options: Options | None = None) -> FetchedTileset:
    options = options or Options()
    return await fetch_tileset(
        options.link or fixed_link(SignedUrl(server.link())),
        staging,
        previous=options.previous,
        workers=8,
        stall_seconds=2,
        retry_policy=options.retry_policy,
        with_sha256=options.with_sha256,
    )


def files_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
