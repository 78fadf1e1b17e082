"""Tilesets with valid glTF tiles: nested, deterministic, and cheap enough for tens of thousands of tiles.

Tiles are copies of a few dozen shapes that differ in the extras of their asset only, so bytes and hashes are unique
while making one costs microseconds. https://docs.ogc.org/cs/22-025r4/22-025r4.html
"""

import hashlib
import json
import math
import random
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any
from urllib.parse import quote

from deployments.sandbox.content.blob import Blob, Container

GROUP = 64
"""Tiles of one nested tileset."""
_ROW = 16
"""Nested tilesets below one branch of the root."""
_SPACING = 12.0
_GROUP_SPACING = 120.0
_OVERVIEW_STRIP = 2 * _SPACING
"""Depth of the strip in front of the nested tilesets, where the overview stands."""
_LATITUDE, _LONGITUDE = 48.137, 11.575
_EQUATOR, _ECCENTRICITY = 6378137.0, 0.00669437999014
_BLANK = "?" * 64
_COLORS = ((198, 93, 59), (222, 184, 101), (108, 142, 173), (122, 153, 110), (150, 150, 156), (87, 96, 111))
_SHAPES = ("box", "cylinder", "sphere 1", "sphere 2", "sphere 3")
_JSON_TYPE, _GLB_TYPE = "application/json", "model/gltf-binary"

JSON = dict[str, Any]


@dataclass(frozen=True)
class TilesSubject:
    """What a tileset is made for: the iModel, its changeset and the number of tiles."""

    imodel_id: str
    changeset: str
    tiles: int

    def seed(self, number: int) -> str:
        """Every tenth tile changes with each changeset; the others stay, and so do their hashes."""
        return f"{self.imodel_id}/{number}/{self.changeset if number % 10 == 0 else ''}"


def build_tiles(subject: TilesSubject, moment: datetime) -> Container:
    """Every blob of a tileset; contents are made when they are read."""
    groups = math.ceil(subject.tiles / GROUP)
    blobs = {"tileset.json": Blob(partial(_root, subject, groups), _JSON_TYPE, moment)}
    blobs["overview.glb"] = Blob(partial(stamp, subject.seed(0) + "overview"), _GLB_TYPE, moment)
    for group in range(groups):
        numbers = _numbers(subject, group)
        blobs[f"tiles/{group}/tileset.json"] = Blob(partial(_group, numbers), _JSON_TYPE, moment)
        for number in numbers:
            name = f"tiles/{group}/{_file_name(number)}"
            blobs[name] = Blob(partial(stamp, subject.seed(number)), _GLB_TYPE, moment)
    return blobs


def stamp(seed: str) -> bytes:
    """The GLB of this seed: a shape with a hash of the seed in its extras."""
    dice = random.Random(seed)
    template = _template(dice.choice(_SHAPES), dice.randrange(len(_COLORS)))
    return template.replace(_BLANK.encode(), hashlib.sha256(seed.encode()).hexdigest().encode(), 1)


@cache
def _template(shape: str, color: int) -> bytes:
    # trimesh costs a second to import, and only tiles need it.
    from deployments.sandbox.content.shapes import build_glb  # noqa: PLC0415

    return build_glb(shape, _COLORS[color], _BLANK)


def _numbers(subject: TilesSubject, group: int) -> range:
    return range(group * GROUP, min((group + 1) * GROUP, subject.tiles))


def _file_name(number: int) -> str:
    """One name in each group has a blank, which its URI must encode."""
    return f"part {number}.glb" if number % GROUP == 1 else f"{number}.glb"


def _root(subject: TilesSubject, groups: int) -> bytes:
    rows = [range(first, min(first + _ROW, groups)) for first in range(0, groups, _ROW)]
    root = {
        **_tile(500, max(min(groups, _ROW), 1) * _GROUP_SPACING, max(len(rows), 1) * _GROUP_SPACING + _OVERVIEW_STRIP),
        "refine": "ADD",
        "transform": _on_the_globe(),
        "content": {"uri": "overview.glb"},
        **_children([_row(groups, place) for place, groups in enumerate(rows)]),
    }
    return _document(root, 1000, {"tilesetVersion": subject.changeset})


def _row(groups: range, place: int) -> JSON:
    tile = _tile(200, len(groups) * _GROUP_SPACING, _GROUP_SPACING, y=_OVERVIEW_STRIP + place * _GROUP_SPACING)
    return {**tile, **_children([_nested(group, column) for column, group in enumerate(groups)])}


def _nested(group: int, column: int) -> JSON:
    tile = _tile(100, _GROUP_SPACING, _GROUP_SPACING, x=column * _GROUP_SPACING)
    return {**tile, "content": {"uri": f"tiles/{group}/tileset.json"}}


def _group(numbers: range) -> bytes:
    """The first two tiles share a node, as 3D Tiles 1.1 allows."""
    uris = [quote(_file_name(number)) for number in numbers]
    root = {
        **_tile(50, _GROUP_SPACING, _GROUP_SPACING),
        "refine": "ADD",
        "contents": [{"uri": uri} for uri in uris[:2]],
        **_children([_leaf(uri, place) for place, uri in enumerate(uris[2:], start=2)]),
    }
    return _document(root, 100, {})


def _leaf(uri: str, place: int) -> JSON:
    tile = _tile(0, _SPACING, _SPACING, x=place % 8 * _SPACING, y=place // 8 * _SPACING)
    return {**tile, "content": {"uri": uri}}


def _children(tiles: list[JSON]) -> JSON:
    """The member `children`, which must not be empty."""
    return {"children": tiles} if tiles else {}


def _document(root: JSON, error: float, asset: JSON) -> bytes:
    body = {"asset": {"version": "1.1", **asset}, "geometricError": error, "root": root}
    return json.dumps(body).encode()


def _tile(error: float, width: float, depth: float, *, x: float = 0, y: float = 0) -> JSON:
    box = [width / 2, depth / 2, 5, width / 2, 0, 0, 0, depth / 2, 0, 0, 0, 10]
    return {
        "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, 0, 1],
        "boundingVolume": {"box": box},
        "geometricError": error,
    }


def _on_the_globe() -> list[float]:
    """East, north, up and origin at a fixed place on the globe, as the columns of a transform."""
    lat, lon = math.radians(_LATITUDE), math.radians(_LONGITUDE)
    radius = _EQUATOR / math.sqrt(1 - _ECCENTRICITY * math.sin(lat) ** 2)
    up = (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
    east = (-math.sin(lon), math.cos(lon), 0.0)
    north = (-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat))
    spot = (radius * up[0], radius * up[1], radius * (1 - _ECCENTRICITY) * up[2])
    return [*east, 0.0, *north, 0.0, *up, 0.0, *spot, 1.0]
