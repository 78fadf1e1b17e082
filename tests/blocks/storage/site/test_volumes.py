"""Bounding volumes: under transforms, and the spheres around them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.storage.site.volumes import Sphere, sphere_around, sphere_around_all, volume_in_parent
from tests.blocks.storage.site.contained import volume

Json = dict[str, Any]
METRES = st.floats(-1000, 1000)
LENGTHS = st.floats(0.01, 500)
FACTORS = st.floats(-3, 3)


@st.composite
def boxes(draw: st.DrawFn) -> Json:
    axes = [0.0] * 9
    axes[0], axes[4], axes[8] = draw(LENGTHS), draw(LENGTHS), draw(LENGTHS)
    return {"box": [draw(METRES), draw(METRES), draw(METRES), *axes]}


@st.composite
def spheres(draw: st.DrawFn) -> Json:
    return {"sphere": [draw(METRES), draw(METRES), draw(METRES), draw(LENGTHS)]}


@st.composite
def regions(draw: st.DrawFn) -> Json:
    west, south = draw(st.floats(-math.pi, math.pi)), draw(st.floats(-1.5, 1.4))
    width, depth = draw(st.floats(0, 0.5)), draw(st.floats(0, 0.1))
    east = west + width - (2 * math.pi if west + width > math.pi else 0)
    return {"region": [west, south, east, south + depth, draw(st.floats(-500, 0)), draw(st.floats(0, 5000))]}


TRANSFORMS = st.lists(FACTORS, min_size=9, max_size=9).flatmap(
    lambda turn: st.lists(METRES, min_size=3, max_size=3).map(
        lambda move: [*turn[:3], 0.0, *turn[3:6], 0.0, *turn[6:], 0.0, *move, 1.0]
    )
)


@settings(deadline=None)
@given(st.one_of(boxes(), spheres()), TRANSFORMS)
def test_a_moved_volume_contains_what_the_transform_moves(given_volume: Json, transform: list[float]) -> None:
    """Every point of a volume lies, after a transform that may skew and stretch, in the volume that is computed."""
    _, points = volume(given_volume, np.array(transform).reshape(4, 4, order="F"))
    found = volume_in_parent({"boundingVolume": given_volume, "transform": transform})
    assert found
    around = sphere_around(found)
    assert all(math.dist(point, around.center) <= around.radius * (1 + 1e-9) + 1e-6 for point in points)
    if "box" in found:
        lengths = np.array(found["box"][3:]).reshape(3, 3)
        for point in points:
            away = point - np.array(found["box"][:3])
            for axis in lengths:
                assert abs(away @ axis) <= (axis @ axis) * (1 + 1e-6) + 1e-3 * np.linalg.norm(axis)


@settings(deadline=None)
@given(regions())
def test_a_sphere_contains_its_region(region: Json) -> None:
    """Every point of a region lies in the sphere around it, also across the 180th meridian."""
    west, south, east, north, low, high = region["region"]
    around = sphere_around(volume_in_parent({"boundingVolume": region}) or {})
    unrolled = {"region": [west, south, east if east >= west else east + 2 * math.pi, north, low, high]}
    _, points = volume(unrolled, np.identity(4))
    assert all(math.dist(point, around.center) <= around.radius for point in points)


@settings(deadline=None)
@given(st.lists(spheres(), min_size=1, max_size=6))
def test_a_sphere_contains_the_others(some: list[Json]) -> None:
    """A sphere around others contains each of them."""
    others = [Sphere((x, y, z), radius) for x, y, z, radius in (one["sphere"] for one in some)]
    around = sphere_around_all(others)
    assert all(math.dist(one.center, around.center) + one.radius <= around.radius for one in others)


@pytest.mark.parametrize(
    "tile",
    [
        {},
        {"boundingVolume": None},
        {"boundingVolume": {"box": [1, 2]}},
        {"boundingVolume": {"sphere": [0, 0, 0, 1]}, "transform": [1.0] * 16},
        {"boundingVolume": {"sphere": [0, 0, 0, 1e308]}, "transform": [1e308] * 12 + [0, 0, 0, 1]},
    ],
)
def test_what_is_no_volume_is_none(tile: Json) -> None:
    """A tile without a bounding volume, or with numbers that make none, has none."""
    assert volume_in_parent(tile) is None
