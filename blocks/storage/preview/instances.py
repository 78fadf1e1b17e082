"""Instances of one model in a tile: the tile format `i3dm`.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-instanced3dmodel-instanced-3d-model
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from blocks.storage.preview.feature_table import FeatureTable
from blocks.storage.preview.shapes import Points
from blocks.storage.tileset.bounding_volume import geodetic

MOST_INSTANCES = 2_000
"""Of each tile; of more, every n-th."""
_HEADER = 32
_SIZES = struct.Struct("<5I")
_RIGHT, _UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Instances:
    """A model, embedded or by its URI, and the matrix of each instance."""

    model: bytes
    uri: str
    matrices: list[Points]


def read_i3dm(content: bytes) -> Instances:
    """The instances of a tile."""
    features = FeatureTable(content, _HEADER)
    *sizes, is_embedded = _SIZES.unpack_from(content, 12)
    body = content[_HEADER + sum(sizes) :]
    count = features.count("INSTANCES_LENGTH")
    positions, scales = features.positions(count), _scales(features, count)
    right, up = _directions(features, positions)
    matrices: list[Points] = []
    for index in range(0, count, -(-count // MOST_INSTANCES) or 1):
        matrix = np.eye(4)
        axes = np.column_stack([right[index], up[index], np.cross(right[index], up[index])])
        matrix[:3, :3], matrix[:3, 3] = axes * scales[index], positions[index]
        matrices.append(matrix)
    return Instances(body, "" if is_embedded else body.rstrip(b" \0").decode(), matrices)


def _scales(features: FeatureTable, count: int) -> Points:
    scales = np.ones((count, 3))
    if "SCALE" in features.json:
        scales = scales * features.rows("SCALE", count, 1, "f4")
    if "SCALE_NON_UNIFORM" in features.json:
        scales = scales * features.rows("SCALE_NON_UNIFORM", count, 3, "f4")
    return scales


def _directions(features: FeatureTable, positions: Points) -> tuple[Points, Points]:
    """What is right and what is up for each instance."""
    count = len(positions)
    if "NORMAL_UP" in features.json and "NORMAL_RIGHT" in features.json:
        return features.rows("NORMAL_RIGHT", count, 3, "f4"), features.rows("NORMAL_UP", count, 3, "f4")
    if "NORMAL_UP_OCT32P" in features.json and "NORMAL_RIGHT_OCT32P" in features.json:
        right = features.rows("NORMAL_RIGHT_OCT32P", count, 2, "u2")
        return _unpacked(right), _unpacked(features.rows("NORMAL_UP_OCT32P", count, 2, "u2"))
    if features.json.get("EAST_NORTH_UP"):
        east_and_north = [_east_and_north(*position) for position in positions.tolist()]
        return np.array([east for east, _ in east_and_north]), np.array([north for _, north in east_and_north])
    return np.tile(_RIGHT, (count, 1)), np.tile(_UP, (count, 1))


def _unpacked(packed: Points) -> Points:
    """Directions from two numbers each; https://jcgt.org/published/0003/02/01/ (octahedral encoding)."""
    plane: Points = packed / 65535.0 * 2.0 - 1.0
    z = 1.0 - np.abs(plane).sum(axis=1, keepdims=True)
    folded: Points = (1.0 - np.abs(plane[:, ::-1])) * np.copysign(1.0, plane)
    directions: Points = np.concatenate([np.where(z < 0, folded, plane), z], axis=1)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _east_and_north(x: float, y: float, z: float) -> tuple[Points, Points]:
    longitude, latitude, _ = map(math.radians, geodetic((x, y, z)))
    east = np.array([-math.sin(longitude), math.cos(longitude), 0.0])
    up = (math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude))
    return east, np.cross(up, east)
