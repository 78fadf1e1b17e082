"""An independent check that tiles lie in the tiles above them: points of each volume are looked for in the others."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Array = NDArray[np.float64]
TOLERANCE = 1e-3
IDENTITY = np.identity(4).flatten("F").tolist()
A, E2 = 6378137.0, 6.69437999014e-3


def outside(path: Path) -> list[str]:
    """Points of tiles of a tileset and of the tilesets it refers to that lie in one of their ancestors not."""
    document = json.loads(path.read_text())
    return [*_walk(path, document["root"], np.identity(4), [])]


def _walk(path: Path, tile: Json, above: Array, ancestors: list[Callable[[Array], bool]]) -> Iterator[str]:
    matrix = above @ np.array(tile.get("transform", IDENTITY)).reshape(4, 4, order="F")
    contains, points = volume(tile["boundingVolume"], matrix)
    for number, one in enumerate(ancestors):
        yield from (f"{path} level {number}: {point}" for point in points if not one(point))
    for child in tile.get("children", ()):
        yield from _walk(path, child, matrix, [*ancestors, contains])
    uri = tile.get("content", {}).get("uri", "")
    if uri.endswith(".json"):  # only the first level of each tileset: below it, others have checked
        inner = path.parent / unquote(uri)
        root = json.loads(inner.read_text())["root"]
        yield from _walk(inner, {**root, "children": []}, matrix, [*ancestors, contains])


def volume(given: Json, matrix: Array) -> tuple[Callable[[Array], bool], list[Array]]:
    """Whether a point is in a volume, and points on its surface."""
    dice = np.random.default_rng(1)
    if "region" in given:
        west, south, east, north, low, high = map(float, given["region"])
        points = [
            ecef(longitude, latitude, height)
            for longitude in np.linspace(west, east, 5)
            for latitude in np.linspace(south, north, 5)
            for height in (low, high)
        ]
        return lambda _: True, points  # nothing of ours lies in a region
    if "box" in given:
        center = matrix @ np.array([*given["box"][:3], 1])
        axes = matrix[:3, :3] @ np.array(given["box"][3:]).reshape(3, 3).T
        points = [center[:3] + axes @ np.array([dice.choice([-1, 1]) for _ in range(3)]) for _ in range(40)]
        inverse = np.linalg.inv(axes + 1e-12 * np.identity(3))
        slack = 1 + TOLERANCE
        return lambda point: bool(np.all(np.abs(inverse @ (point - center[:3])) <= slack)), points
    x, y, z, radius = given["sphere"]
    middle = (matrix @ np.array([x, y, z, 1]))[:3]
    stretched = radius * float(np.linalg.norm(matrix[:3, :3], 2))
    directions = [np.array([dice.normal() for _ in range(3)]) for _ in range(40)]
    points = [middle + stretched * one / np.linalg.norm(one) for one in directions]
    return lambda point: bool(np.linalg.norm(point - middle) <= stretched + TOLERANCE), points


def ecef(longitude: float, latitude: float, height: float) -> Array:
    normal = A / math.sqrt(1 - E2 * math.sin(latitude) ** 2)
    across = (normal + height) * math.cos(latitude)
    return np.array(
        [
            across * math.cos(longitude),
            across * math.sin(longitude),
            (normal * (1 - E2) + height) * math.sin(latitude),
        ]
    )
