"""Where an iModel lies: what the platform states, and points near it."""

from typing import Any

import pytest

from blocks.itwin.models import IModel
from blocks.storage.acceptance.imodel_place import IModelPlace

SOUTH_WEST, NORTH_EAST = {"latitude": 48.1, "longitude": 11.5}, {"latitude": 48.2, "longitude": 11.6}


@pytest.mark.parametrize(
    ("extent", "box"),
    [
        ({"southWest": SOUTH_WEST, "northEast": NORTH_EAST}, (11.5, 48.1, 11.6, 48.2)),
        (None, None),
        ({}, None),
        ({"southWest": SOUTH_WEST, "northEast": None}, None),
        ({"southWest": {"latitude": 91, "longitude": 0}, "northEast": NORTH_EAST}, None),
        ({"southWest": {"latitude": "north", "longitude": 0}, "northEast": NORTH_EAST}, None),
        ("Munich", None),
    ],
)
def test_the_extent_is_read_or_there_is_none(extent: Any, box: tuple[float, ...] | None) -> None:
    """An extent that no place on the Earth has counts as none, and the iModel is read nevertheless."""
    imodel = IModel.model_validate({"id": "i", "displayName": "Plant", "extent": extent})
    assert (imodel.display_name, imodel.box) == ("Plant", box)


@pytest.mark.parametrize(
    ("extent", "longitude", "latitude", "is_inside"),
    [
        ((11.5, 48.1, 11.6, 48.2), 11.5, 48.1, True),
        ((11.5, 48.1, 11.6, 48.2), 11.55, 48.2089, True),
        ((11.5, 48.1, 11.6, 48.2), 11.55, 48.2091, False),
        ((11.5, 48.1, 11.6, 48.2), 11.6134, 48.15, True),
        ((11.5, 48.1, 11.6, 48.2), 11.6136, 48.15, False),
        ((11.5, 48.1, 11.6, 48.2), -11.55, 48.15, False),
        ((179.9, 0, -179.9, 1), -179.95, 0.5, True),
        ((179.9, 0, -179.9, 1), 179.895, 0.5, True),
        ((179.9, 0, -179.9, 1), 0, 0.5, False),
        ((-180, -90, 180, 90), 77, -33, True),
        ((11.5, 48.1, 11.5, 48.1), 11.5, 48.1, True),
    ],
)
def test_points_near_the_extent_are_in_it(
    extent: tuple[float, float, float, float], longitude: float, latitude: float, *, is_inside: bool
) -> None:
    """A kilometre around it counts, also across the 180th meridian, and for an extent that is a point."""
    assert IModelPlace(name="Plant", extent=extent).holds(longitude, latitude) is is_inside
