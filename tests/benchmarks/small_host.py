"""A host of a few hundred tiles for the short benchmark: `python -m tests.benchmarks.small_host`."""

import asyncio
import sys

from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, tile, tileset


async def main(count: int, size: int) -> None:
    """Serve until killed; the first line says where."""
    names = [f"tiles/{number}.glb" for number in range(count)]
    content = {name: glb(size + number) for number, name in enumerate(names)}
    root = tileset(tile(None, *(tile(name) for name in names)))
    async with TileServer({"tileset.json": root, **content}).serve() as server:
        sys.stdout.write(server.link() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
