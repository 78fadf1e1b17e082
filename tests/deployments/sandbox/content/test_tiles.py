import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trimesh

from deployments.node_tools import MODULES, find_node
from deployments.sandbox.content.tiles import TilesSubject, build_tiles, stamp

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def loaded(glb: bytes) -> Any:
    kit: Any = trimesh
    return kit.load(kit.util.wrap_as_stream(glb), file_type="glb")


def test_tile_is_a_closed_shape() -> None:
    """A tile loads as glTF with triangles that enclose a volume."""
    for number in range(12):
        scene = loaded(stamp(f"tile {number}"))
        (mesh,) = scene.geometry.values()
        assert len(mesh.faces) >= 12
        assert mesh.volume > 100


def test_tiles_are_unique_and_repeatable() -> None:
    """The same seed gives the same bytes, another seed other bytes."""
    tiles = [stamp(f"tile {number}") for number in range(500)]
    assert len(set(tiles)) == 500
    assert tiles[7] == stamp("tile 7")


def test_lengths_in_the_header_are_true() -> None:
    """Stamping keeps the container's own lengths right, and its JSON readable."""
    glb = stamp("tile")
    assert int.from_bytes(glb[8:12], "little") == len(glb)
    size = int.from_bytes(glb[12:16], "little")
    assert len(json.loads(glb[20 : 20 + size])["asset"]["extras"]["tile"]) == 64


@pytest.mark.parametrize("count", [0, 1, 2, 64, 65, 20_000])
def test_tileset_has_as_many_tiles_as_asked_for(count: int) -> None:
    """Any number from none to tens of thousands, in nested documents of at most 64."""
    blobs = build_tiles(TilesSubject("imodel", "change", count), NOW)
    tiles = [name for name in blobs if name.endswith(".glb")]
    assert len(tiles) == count + 1
    assert len([name for name in blobs if name.endswith(".json")]) == 1 + -(-count // 64)
    json.loads(blobs["tileset.json"].read())


def test_overview_stands_beside_the_tiles() -> None:
    """The strip in which the overview lies belongs to no nested tileset, and to the volume of the root."""
    blobs = build_tiles(TilesSubject("imodel", "change", 130), NOW)
    root = json.loads(blobs["tileset.json"].read())["root"]
    low, high = loaded(blobs["overview.glb"].read()).bounds
    # glTF has y up; tilesets have z up: north is -z of the model.
    northern_end = max(-low[2], -high[2])
    assert all(row["transform"][13] >= northern_end for row in root["children"])
    box = root["boundingVolume"]["box"]
    for row in root["children"]:
        end = row["transform"][13] + row["boundingVolume"]["box"][1] + row["boundingVolume"]["box"][7]
        assert end <= box[1] + box[7]


def test_tiles_pass_the_gltf_validator(tmp_path: Path) -> None:
    """Khronos' validator finds neither errors nor warnings in any kind of tile."""
    for number in range(60):
        (tmp_path / f"{number}.glb").write_bytes(stamp(f"tile {number}"))
    node = find_node()
    assert node is not None
    script = Path(__file__).with_name("validate_tiles.js")
    environment = os.environ | {"NODE_PATH": str(MODULES)}
    run = subprocess.run([node, script, tmp_path], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == {"count": 60, "problems": []}
