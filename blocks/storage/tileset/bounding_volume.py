"""Where a tileset lies on the Earth and how large it is, from the bounding volume of its root.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-bounding-volumes: box and sphere are in metres and follow the tile's
transform into Earth-centred, Earth-fixed coordinates; a region has longitudes and latitudes in radians.
"""

import math
from itertools import product
from typing import cast

from blocks.foreign_data import Json
from blocks.storage.content.models import EarthExtent

Vector = tuple[float, float, float]
Lengths = tuple[float, float, float]
EQUATOR, POLE = 6_378_137.0, 6_356_752.314245
_ECCENTRICITY = 1 - POLE**2 / EQUATOR**2
_LOWEST, _HIGHEST = 6_000_000.0, 7_000_000.0
"""Distances from the centre of the Earth, in metres, at which coordinates count as Earth-centred; others are local."""
IDENTITY = [float(row == column) for row in range(4) for column in range(4)]


def locate(tile: Json) -> tuple[EarthExtent | None, Lengths | None]:
    """Extent on the Earth, and width, depth and height in metres; None where the tile does not say it.

    The extent of a box or sphere is that of its corners.
    """
    given: object = tile.get("boundingVolume")
    volume = cast("Json", given) if isinstance(given, dict) else {}
    if (region := numbers(volume.get("region"), 6)) and max(map(abs, region)) <= _HIGHEST:
        return _of_region(region)
    box = numbers(volume.get("box"), 12) or _box_around(numbers(volume.get("sphere"), 4))
    matrix = numbers(tile.get("transform", IDENTITY), 16)
    if not box or not matrix:
        return None, None
    axes = [turned(matrix, (box[at], box[at + 1], box[at + 2])) for at in (3, 6, 9)]
    x, y, z = turned(matrix, (box[0], box[1], box[2]))
    center = (x + matrix[12], y + matrix[13], z + matrix[14])
    lengths = [round(2 * math.hypot(*axis), 3) for axis in axes]
    if not all(map(math.isfinite, lengths)):
        return None, None
    extent = _around(_corners(center, axes)) if is_on_earth(center) else None
    return extent, (lengths[0], lengths[1], lengths[2])


def is_on_earth(point: Vector) -> bool:
    """Whether coordinates are Earth-centred, as far as can be told; others are local."""
    return _LOWEST < math.hypot(*point) < _HIGHEST


def numbers(value: object, count: int) -> list[float] | None:
    """So many numbers of a JSON array."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    found = [float(item) for item in items if isinstance(item, (int, float))]
    return found if len(items) == len(found) == count else None


def _box_around(sphere: list[float] | None) -> list[float] | None:
    if sphere is None:
        return None
    x, y, z, radius = sphere
    return [x, y, z, radius, 0, 0, 0, radius, 0, 0, 0, radius]


def _of_region(region: list[float]) -> tuple[EarthExtent, Lengths]:
    west, south, east, north, lowest, highest = region
    middle = (south + north) / 2
    width = (east - west) % (2 * math.pi) * math.cos(middle) * EQUATOR
    extent = _extent([math.degrees(angle) for angle in (west, south, east, north)], lowest, highest)
    return extent, (round(width, 3), round((north - south) * EQUATOR, 3), round(highest - lowest, 3))


def turned(matrix: list[float], vector: Vector) -> Vector:
    """A direction under a matrix in column-major order."""
    x, y, z = (sum(matrix[4 * column + row] * vector[column] for column in range(3)) for row in range(3))
    return x, y, z


def _corners(center: Vector, axes: list[Vector]) -> list[Vector]:
    signs = product((-1, 1), repeat=3)
    return [
        (
            center[0] + sum(sign * axis[0] for sign, axis in zip(one, axes, strict=True)),
            center[1] + sum(sign * axis[1] for sign, axis in zip(one, axes, strict=True)),
            center[2] + sum(sign * axis[2] for sign, axis in zip(one, axes, strict=True)),
        )
        for one in signs
    ]


def _around(points: list[Vector]) -> EarthExtent:
    """The extent that contains the points; if it crosses the 180th meridian, `west` is greater than `east`."""
    longitudes, latitudes, heights = zip(*map(geodetic, points), strict=True)
    west, east = min(longitudes), max(longitudes)
    if east - west > 180:
        west, east = min(one for one in longitudes if one >= 0), max(one for one in longitudes if one < 0)
    return _extent([west, min(latitudes), east, max(latitudes)], min(heights), max(heights))


def _extent(sides: list[float], lowest: float, highest: float) -> EarthExtent:
    west, south, east, north = (round(side, 7) for side in sides)
    return EarthExtent(
        west=west, south=south, east=east, north=north, lowest=round(lowest, 3), highest=round(highest, 3)
    )


def geodetic(point: Vector) -> tuple[float, float, float]:
    """Longitude and latitude in degrees, height in metres (WGS 84, Bowring's formula)."""
    x, y, z = point
    distance = math.hypot(x, y)
    angle = math.atan2(z * EQUATOR, distance * POLE)
    latitude = math.atan2(
        z + (EQUATOR**2 / POLE**2 - 1) * POLE * math.sin(angle) ** 3,
        distance - _ECCENTRICITY * EQUATOR * math.cos(angle) ** 3,
    )
    surface = EQUATOR * math.sqrt(1 - _ECCENTRICITY * math.sin(latitude) ** 2)
    height = distance * math.cos(latitude) + z * math.sin(latitude) - surface
    return math.degrees(math.atan2(y, x)), math.degrees(latitude), height
