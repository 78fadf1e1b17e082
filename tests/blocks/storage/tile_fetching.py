"""What the tests of tilesets share."""

from dataclasses import dataclass
from pathlib import Path

from blocks.storage.links import FetchLink, fixed
from blocks.storage.patience import Patience
from blocks.storage.tileset_fetch import FetchedTileset, fetch_tileset
from tests.blocks.storage.tile_server import TileServer

HASTY = Patience(attempts=3, first_pause=0.001, longest_pause=0.01)


@dataclass(frozen=True)
class Options:
    link: FetchLink | None = None
    previous: Path | None = None
    patience: Patience = HASTY


async def fetch(server: TileServer, staging: Path, options: Options | None = None) -> FetchedTileset:
    options = options or Options()
    return await fetch_tileset(
        options.link or fixed(server.link()),
        staging,
        previous=options.previous,
        workers=8,
        stall_seconds=2,
        patience=options.patience,
    )


def files_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
