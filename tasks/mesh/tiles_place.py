"""Where the tiles of one flow run are published, and which of them need not be fetched for that."""

import dataclasses
from collections.abc import Generator
from contextlib import closing, contextmanager

from blocks.settings import read_settings
from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.preview_file import missing_extra
from blocks.storage.tileset.early_tiles import EarlyTiles, NoEarlyTiles
from tasks.mesh.options import MeshRequest


@contextmanager
def place_for_tiles(request: MeshRequest) -> Generator[PublishedExport]:
    """The place where a tileset will be published; an object store takes tiles from now on, until the block ends."""
    place = request.published
    if not isinstance(place, StoredTileset):
        yield place
        return
    with closing(place.new_upload(copies_unread=not _needs_tiles(request))) as upload:
        yield dataclasses.replace(place, upload=upload)


def early_tiles_of(place: PublishedExport) -> EarlyTiles:
    """What takes tiles for a place while others are being fetched."""
    upload = place.upload if isinstance(place, StoredTileset) else None
    return upload or NoEarlyTiles()


def _needs_tiles(request: MeshRequest) -> bool:
    """True if this process needs the bytes of the tiles, to draw a picture or to apply acceptance rules."""
    is_drawn = read_settings().preview != "off" and not missing_extra()
    return is_drawn or request.rules is not None
