"""Points of a cloud as small solids, which are drawn like all else, and the tile format `pnts`.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-pointcloud-point-cloud
"""

import numpy as np

from blocks.foreign_data import Json
from blocks.storage.preview.feature_table import FeatureTable
from blocks.storage.preview.shapes import Colors, NotDrawnError, Points, Shape

MOST_POINTS = 10_000
"""Of each tile; of more, every n-th."""
_SHARE = 0.6
"""Edge of a solid, of the distance to the next point if they lay on a plane."""
_CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 2.0
_FACES = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def read_pnts(content: bytes) -> Shape:
    """The points of a tile with their colors, z up."""
    features = FeatureTable(content, header=28)
    extensions: Json = features.json.get("extensions") or {}
    if "3DTILES_draco_point_compression" in extensions:
        raise NotDrawnError("compressed with 3DTILES_draco_point_compression")
    count = features.count("POINTS_LENGTH")
    return as_solids(features.positions(count), _colors(features, count))


def as_solids(points: Points, colors: Colors) -> Shape:
    """A small tetrahedron at each point."""
    step = -(-len(points) // MOST_POINTS) or 1
    points, colors = points[::step], colors[::step]
    if not len(points):
        return Shape(points, np.zeros((0, 3), np.int64), np.zeros((0, 4), np.uint8))
    edge = _SHARE * float(np.linalg.norm(np.ptp(points, axis=0))) / max(1.0, len(points) ** 0.5)
    corners = (points[:, None, :] + edge * _CORNERS).reshape(-1, 3)
    faces = (4 * np.arange(len(points))[:, None, None] + _FACES).reshape(-1, 3)
    return Shape(corners, faces, np.repeat(colors, len(_FACES), axis=0))


def _colors(features: FeatureTable, count: int) -> Colors:
    """The colors of the points; dark grey where the tile has none, for the background is white."""
    for name, width in (("RGBA", 4), ("RGB", 3)):
        if name in features.json:
            given = features.rows(name, count, width, "u1").astype(np.uint8)
            return given if width == 4 else np.column_stack([given, np.full(count, 255, np.uint8)])
    constant = features.json.get("CONSTANT_RGBA") or (96, 96, 96, 255)
    return np.tile(np.array(constant, np.float64).clip(0, 255).astype(np.uint8), (count, 1))
