"""A site of published tilesets, with real tiles, each at a place of its own."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from blocks.itwin.models import IModel
from blocks.storage.acceptance.checks import Verdict
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.manifest import Manifest, write_manifest
from blocks.storage.site.placements import Placement
from blocks.storage.tileset.publish import publish_tileset
from deployments.sandbox.content.tiles import TilesSubject, build_tiles
from tests.blocks.storage.tileset.tilesets import written

Json = dict[str, Any]
ITWIN_ID = "fe459af2-e6a0-5cfe-b648-9af1170a2a12"
LONGITUDE, LATITUDE = 11.575, 48.137


def imodel(number: int) -> IModel:
    """The iModel of that number."""
    return IModel(id=str(uuid5(UUID(ITWIN_ID), str(number))), display_name=f"Building {number:02}")


def publish(output: Path | ObjectStore, number: int, folder: Path | None = None, **facts: Any) -> IModel:
    """Publish the tileset of an iModel as an export does, some hundred metres from the others.

    Args:
        output: The output folder, or the store.
        number: Of the iModel.
        folder: Of this machine; for a store.
        facts: See `staged`.
    """
    one = imodel(number)
    if isinstance(output, Path):
        staging = output / one.id / ".itwin-export" / "mesh"
        publish_tileset(staging, output / one.id / "mesh", staged(staging, number, **facts))
    else:
        assert folder
        staging = folder / one.id / "mesh"
        tileset = StoredTileset(output, f"{one.id}/mesh", folder / "copies" / one.id)
        tileset.publish(staging, staged(staging, number, **facts), keep=0, lock=folder)
    return one


def staged(
    staging: Path,
    number: int,
    *,
    on_earth: bool = True,
    verdict: Verdict = "not_checked",
    tiles: int = 5,
    root: Json | None = None,
    asset: Json | None = None,
) -> Manifest:
    """Write the tileset of an iModel to a folder; its manifest."""
    one = imodel(number)
    blobs = {
        name: blob.read() for name, blob in build_tiles(TilesSubject(one.id, "a", tiles), datetime.now(UTC)).items()
    }
    document = json.loads(blobs["tileset.json"])
    document["root"] |= {"transform": transform_of(number) if on_earth else None} | (root or {})
    document["root"] = {name: value for name, value in document["root"].items() if value is not None}
    document["asset"] |= asset or {}
    blobs["tileset.json"] = json.dumps(document).encode()
    manifest = written(staging, blobs).model_copy(
        update={"imodel_id": one.id, "changeset_id": f"{number:040}", "tile_count": tiles + 1, "verdict": verdict}
    )
    write_manifest(staging, manifest)
    return manifest


def transform_of(number: int) -> list[float]:
    """Somewhere on a square of three kilometres."""
    return Placement(
        id="",
        longitude=LONGITUDE + number % 7 * 0.006,
        latitude=LATITUDE + number // 7 * 0.004,
        height=number * 1.5,
        heading=number * 37 % 360,
    ).transform


def region_of(number: int) -> Json:
    """A root with a region as bounding volume, which no transform moves."""
    west, south = (math.radians(one) for one in (LONGITUDE + number % 7 * 0.006, LATITUDE + number // 7 * 0.004))
    return {"boundingVolume": {"region": [west - 3e-5, south - 3e-5, west + 5e-5, south + 5e-5, -10, 80]}}
