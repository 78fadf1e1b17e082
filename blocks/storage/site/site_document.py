"""The common tileset of an iTwin: one `tileset.json` that refers to the published tilesets of its iModels.

Below the root, tiles without content divide the site, each with a sphere around what is in it and with the diameter of
the sphere as geometric error. A viewer that refines by errors therefore loads nothing of an iModel that is a few pixels
large, and its coarse tiles first. https://docs.ogc.org/cs/22-025r4/22-025r4.html
"""

import math
from collections.abc import Sequence
from importlib.metadata import version
from urllib.parse import quote

from blocks.foreign_data import Json
from blocks.storage.site.member_tileset import DEFAULT_UP_AXIS, MemberTileset
from blocks.storage.site.volumes import Sphere, sphere_around, sphere_around_all

MARK = "itwin_export"
"""Member of `asset.extras` that our common tilesets have."""
MOST_CHILDREN = 8
"""Of one tile; with more, the site is divided once more."""
_TEXT = {"type": "STRING", "required": True}
_SCHEMA: Json = {
    "id": "itwin_export_site",
    "classes": {
        "itwin": {"name": "iTwin", "properties": {"id": _TEXT, "name": {"type": "STRING"}}},
        "imodel": {
            "name": "iModel",
            "properties": {
                "id": _TEXT,
                "name": _TEXT,
                "changeset_id": {"type": "STRING"},
                "named_version": {"type": "STRING"},
            },
        },
    },
}


def site_document(itwin_id: str, itwin_name: str, members: Sequence[MemberTileset]) -> Json:
    """The common tileset, for the folder `<output folder>/<iTwin>/`; at least one member, all with one up axis."""
    root = _divided([_imodel_tile(member) for member in members])
    axis = members[0].up_axis
    listed = [{**_facts(member), "tileset": f"../{member.address}"} for member in members]
    extras = {"itwin_id": itwin_id, "itwin_name": itwin_name, "imodels": listed}
    return {
        "asset": {
            "version": "1.1",
            "generator": f"itwin-export {version('itwin-export')}",
            "extras": {MARK: extras},
            **({} if axis == DEFAULT_UP_AXIS else {"gltfUpAxis": axis}),
        },
        "schema": _SCHEMA,
        "metadata": {"class": "itwin", "properties": _given(id=itwin_id, name=itwin_name)},
        "geometricError": root["geometricError"],
        "root": {**root, "refine": "REPLACE"},  # a root without it in a tileset of an iModel takes it from here
    }


def _imodel_tile(member: MemberTileset) -> Json:
    """A tile without content around the tileset, so that the tileset is not even opened while it is small."""
    around = member.earth_volume
    content = {
        "boundingVolume": member.volume,
        "geometricError": member.error,
        "content": {"uri": quote(f"../{member.address}")},
        **({"transform": member.placement} if member.placement else {}),
    }
    return {
        "boundingVolume": around,
        "geometricError": max(member.error, 2 * sphere_around(around).radius),
        "metadata": {"class": "imodel", "properties": _facts(member)},
        "children": [content],
    }


def _divided(tiles: Sequence[Json]) -> Json:
    """One tile around many: it is divided in halves, across its longest side, until few enough are left."""
    if len(tiles) > MOST_CHILDREN:
        spheres = [sphere_around(tile["boundingVolume"]) for tile in tiles]
        axis = max(range(3), key=lambda at: _length(spheres, at))
        order = sorted(range(len(tiles)), key=lambda at: spheres[at].center[axis])
        half = len(tiles) // 2
        tiles = [_divided([tiles[at] for at in part]) for part in (order[:half], order[half:])]
    around = sphere_around_all([sphere_around(tile["boundingVolume"]) for tile in tiles])
    return {
        "boundingVolume": {"sphere": [*around.center, around.radius]},
        "geometricError": max(2 * around.radius, *(tile["geometricError"] for tile in tiles)),
        "children": list(tiles),
    }


def _length(spheres: Sequence[Sphere], axis: int) -> float:
    places = [sphere.center[axis] for sphere in spheres]
    return math.fabs(max(places) - min(places))


def _facts(member: MemberTileset) -> dict[str, str]:
    manifest = member.tileset.manifest
    version_name = manifest.named_version.name if manifest.named_version else None
    return _given(id=member.imodel_id, name=member.name, changeset_id=manifest.changeset_id, named_version=version_name)


def _given(**facts: str | None) -> dict[str, str]:
    """Those that are known; a property with the mark `required` always is."""
    return {name: value for name, value in facts.items() if value}
