"""Bounding volumes of tiles in the coordinates of their parent, and spheres around them.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-bounding-volumes: a transform moves boxes and spheres, not regions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from blocks.foreign_data import Json
from blocks.storage.tileset.bounding_volume import EQUATOR, IDENTITY, POLE, Vector, numbers, turned

Volume = dict[str, list[float]]
Matrix = list[float]
"""Sixteen numbers, one column after the other."""

_ECCENTRICITY = 1 - POLE**2 / EQUATOR**2
_GREATEST_RADIUS = EQUATOR**2 / POLE
"""Of curvature of the ellipsoid, in metres; it is at the poles."""
_MARGIN = 0.01
"""Metres by which a sphere around others is larger, for what rounding takes away."""
_RIGHT_ANGLE = 1e-9
"""Greatest cosine between two axes that count as perpendicular."""


@dataclass(frozen=True)
class Sphere:
    """A sphere in metres."""

    center: Vector
    radius: float


def volume_in_parent(tile: Json) -> Volume | None:
    """The bounding volume of a tile after its own transform; None if it states none that can be used."""
    matrix = numbers(tile.get("transform", IDENTITY), 16)
    given: object = tile.get("boundingVolume")
    if matrix is None or not isinstance(given, dict) or [matrix[at] for at in (3, 7, 11, 15)] != [0, 0, 0, 1]:
        return None
    volume = moved(cast("Json", given), matrix)
    return volume if volume and all(math.isfinite(one) for values in volume.values() for one in values) else None


def moved(volume: Json, matrix: Matrix) -> Volume:
    """A bounding volume under a transform; empty if it is invalid. A box that is skewed becomes the box around it."""
    if box := numbers(volume.get("box"), 12):
        axes = [turned(matrix, _vector(box[at:])) for at in (3, 6, 9)]
        sides = axes if _are_perpendicular(axes) else _around(axes)
        return {"box": [*_place(matrix, _vector(box)), *(one for axis in sides for one in axis)]}
    if sphere := numbers(volume.get("sphere"), 4):
        return {"sphere": [*_place(matrix, _vector(sphere)), sphere[3] * _stretch(matrix)]}
    if region := numbers(volume.get("region"), 6):
        return {"region": region}
    return {}


def sphere_around(volume: Volume) -> Sphere:
    """A sphere that contains a bounding volume."""
    if box := volume.get("box"):
        return Sphere(_vector(box), math.hypot(*box[3:]))
    if sphere := volume.get("sphere"):
        return Sphere(_vector(sphere), sphere[3])
    return _around_region(volume["region"])


def sphere_around_all(spheres: Sequence[Sphere]) -> Sphere:
    """A sphere that contains others, of which there is at least one."""
    x, y, z = (_middle(spheres, axis) for axis in range(3))
    radius = max(math.dist((x, y, z), one.center) + one.radius for one in spheres)
    return Sphere((x, y, z), radius + _MARGIN)


def on_the_ellipsoid(longitude: float, latitude: float, height: float) -> Vector:
    """Earth-centred coordinates of a place in radians and metres (WGS 84)."""
    normal = EQUATOR / math.sqrt(1 - _ECCENTRICITY * math.sin(latitude) ** 2)
    outward = (normal + height) * math.cos(latitude)
    upward = (normal * (1 - _ECCENTRICITY) + height) * math.sin(latitude)
    return outward * math.cos(longitude), outward * math.sin(longitude), upward


def _around_region(region: list[float]) -> Sphere:
    """From its middle, no point is farther than along a meridian, a parallel and a plumb line, one after the other."""
    west, south, east, north, lowest, highest = region
    width = (east - west) % (2 * math.pi)
    middle = on_the_ellipsoid(west + width / 2, (south + north) / 2, (lowest + highest) / 2)
    along_the_ground = (_GREATEST_RADIUS + max(abs(lowest), abs(highest))) * (width + north - south) / 2
    return Sphere(middle, along_the_ground + (highest - lowest) / 2 + _MARGIN)


def _middle(spheres: Sequence[Sphere], axis: int) -> float:
    lowest = min(one.center[axis] - one.radius for one in spheres)
    return (lowest + max(one.center[axis] + one.radius for one in spheres)) / 2


def _vector(values: Sequence[float]) -> Vector:
    return values[0], values[1], values[2]


def _place(matrix: Matrix, point: Vector) -> Vector:
    x, y, z = turned(matrix, point)
    return x + matrix[12], y + matrix[13], z + matrix[14]


def _are_perpendicular(axes: Sequence[Vector]) -> bool:
    return all(
        abs(sum(a * b for a, b in zip(one, other, strict=True))) <= _RIGHT_ANGLE * math.hypot(*one) * math.hypot(*other)
        for one, other in ((axes[0], axes[1]), (axes[0], axes[2]), (axes[1], axes[2]))
    )


def _around(axes: Sequence[Vector]) -> list[Vector]:
    x, y, z = (sum(abs(axis[at]) for axis in axes) for at in range(3))
    return [(x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, z)]


def _stretch(matrix: Matrix) -> float:
    """No vector becomes longer by a greater factor; exact where the columns are perpendicular."""
    columns = [_vector(matrix[at:]) for at in (0, 4, 8)]
    lengths = [math.hypot(*column) for column in columns]
    return max(lengths) if _are_perpendicular(columns) else math.hypot(*lengths)
