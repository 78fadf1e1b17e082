"""The small `tileset.json` that refers to the tileset of a generation, which never changes.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-external-tilesets
"""

import json
from pathlib import Path
from typing import cast
from urllib.parse import quote

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_json_object
from blocks.shared_folder import read_bounded
from blocks.storage.site.volumes import volume_in_parent
from blocks.storage.tileset.references import ROOT


def root_document(root: Path, generation: str) -> bytes:
    """A tileset with one tile, whose content is the tileset of a generation.

    Args:
        root: The `tileset.json` of the generation.
        generation: Name of its folder.

    Raises:
        ContentError: It has no root tile with a bounding volume, so no tile can be made around it.
    """
    try:
        document = read_json_object(read_bounded(root, LONGEST_TILESET_JSON), LONGEST_TILESET_JSON)
    except ForeignDataError as error:
        raise ContentError(f"{ROOT} cannot be read: {error}. Export it with start=always.") from None
    tile = _member(document, "root")
    volume = volume_in_parent(tile)
    if volume is None:
        raise ContentError(f"The root of {ROOT} has no bounding volume that can be used. Export it with start=always.")
    error = max((float(one) for one in _errors(document, tile)), default=0.0)
    around = {
        "boundingVolume": volume,
        "geometricError": error,
        "refine": tile.get("refine", "REPLACE"),
        "content": {"uri": f"{quote(generation)}/{ROOT}"},
    }
    asset = _member(document, "asset") or {"version": "1.1"}
    return json.dumps({"asset": asset, "geometricError": error, "root": around}).encode()


def _errors(document: Json, tile: Json) -> list[int | float]:
    stated = [document.get("geometricError"), tile.get("geometricError")]
    return [one for one in stated if isinstance(one, (int, float))]


def _member(document: Json, name: str) -> Json:
    member: object = document.get(name)
    return cast("Json", member) if isinstance(member, dict) else {}
