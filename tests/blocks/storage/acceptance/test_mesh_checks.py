"""The rules for tilesets."""

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.storage.acceptance.comparison import PreviousExport
from blocks.storage.acceptance.mesh_checks import check_mesh_rules
from blocks.storage.acceptance.rules import MeshRules, is_inside
from blocks.storage.content.models import EarthExtent, LargestTile, TilesetContent

EXTENT = EarthExtent(west=11.5, south=48.1, east=11.6, north=48.2, lowest=500, highest=520)
TILESET = TilesetContent(
    tiles=60,
    largest_tile=LargestTile(path="tiles/1.glb", size=900),
    extent=EXTENT,
    extensions_used=("A", "B"),
    extensions_required=("A",),
)
BEFORE = PreviousExport(created_at=datetime(2026, 11, 1, tzinfo=UTC), count=50)


@pytest.mark.parametrize(
    ("rule", "passing", "failing", "measured"),
    [
        ("min_tiles", 60, 61, 60),
        ("max_tile_bytes", 900, 899, 900),
        ("max_growth_percent", 20, 19, 20),
        ("max_shrink_percent", 0, None, 0),
        ("within", [11.5, 48, 11.6, 48.3], [11.51, 48, 11.6, 48.3], [11.5, 48.1, 11.6, 48.2]),
        ("within", [11, 48, 12, 49, 500, 520], [11, 48, 12, 49, 501, 520], [11.5, 48.1, 11.6, 48.2, 500, 520]),
        ("within", [11, 48, 12, 49, 500, 520], [11, 48, 12, 49, 500, 519], [11.5, 48.1, 11.6, 48.2, 500, 520]),
    ],
)
def test_a_limit_is_kept_or_not(rule: str, passing: Any, failing: Any, measured: Any) -> None:
    """The limit itself is within it; the whole extent must lie in the box."""
    for limit, result in ((passing, "passed"), (failing, "failed")):
        for check in check_mesh_rules(MeshRules.model_validate({rule: limit}), TILESET, BEFORE):
            assert (check.rule, check.result, check.limit, check.measured) == (f"mesh.{rule}", result, limit, measured)


def test_only_required_extensions_are_forbidden() -> None:
    """An extension that a viewer may ignore does no harm; one that it must know fails."""
    (harmless,) = check_mesh_rules(MeshRules(forbid_extensions=("B",)), TILESET, None)
    (harmful,) = check_mesh_rules(MeshRules(forbid_extensions=("A", "B")), TILESET, None)
    assert (harmless.passed, harmful.passed, harmful.measured) == (True, False, ["A"])


def test_a_tileset_that_lies_nowhere_is_outside() -> None:
    """Without an extent on the Earth the box is failed, not passed."""
    nowhere = TILESET.model_copy(update={"extent": None})
    (check,) = check_mesh_rules(MeshRules(within=(0, 0, 1, 1)), nowhere, None)
    assert (check.result, check.note) == ("failed", "the tileset lies nowhere on the Earth")


@pytest.mark.parametrize(
    ("box", "extent", "inside"),
    [
        ((170, -10, -170, 10), (175, 0, -175, 5), True),
        ((170, -10, -170, 10), (175, 0, 178, 5), True),
        ((170, -10, -170, 10), (165, 0, -175, 5), False),
        ((170, -10, -170, 10), (0, 0, 1, 5), False),
        ((-180, -90, 180, 90), (179, 0, -179, 5), True),
        ((10, 40, 12, 50), (10, 40, 12, 50), True),
        ((10, 40, 12, 50), (11, 40, 10.5, 50), False),
        ((10, 40, 12, 50), (11, 40, 11, 51), False),
    ],
)
def test_boxes_may_cross_the_180th_meridian(box: Any, extent: Any, *, inside: bool) -> None:
    """Box and extent are compared eastwards from the west edge of the box."""
    assert is_inside(box, *extent) is inside
