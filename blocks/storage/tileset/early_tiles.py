"""What takes tiles while others are still being fetched, to where they will be published."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from blocks.signed_url import SignedUrl
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.tile_body import FetchedTile


class EarlyTiles(Protocol):
    """Takes tiles before the tileset is complete; every method is for threads."""

    def begin(self, names: Collection[str]) -> None:
        """Called with the name of every file before the first tile; again, if the tileset is another one by now."""
        ...

    def is_taken(self, tile: Tile) -> bool:
        """True for a tile that need not be fetched as far as is known."""
        ...

    def take(self, tile: Tile, link: SignedUrl) -> FetchedTile | None:
        """Have a tile where it will be published, without its bytes; None if it has to be fetched.

        Args:
            tile: As the listing describes it.
            link: Of the container it is in.
        """
        ...

    def put(self, tile: FetchedTile, path: Path) -> None:
        """Take a tile that was fetched; returns at once."""
        ...


class NoEarlyTiles:
    """For tilesets that are published once they are complete."""

    def begin(self, names: Collection[str]) -> None:
        """Nothing to do."""

    def is_taken(self, tile: Tile) -> bool:  # noqa: ARG002
        """False: every tile is fetched."""
        return False

    def take(self, tile: Tile, link: SignedUrl) -> FetchedTile | None:  # noqa: ARG002
        """None: every tile is fetched."""
        return None

    def put(self, tile: FetchedTile, path: Path) -> None:
        """Nothing to do."""
