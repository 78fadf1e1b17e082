"""The rules of the table `mesh`, measured on the content report of a tileset."""

from pydantic import JsonValue

from blocks.storage.acceptance.checks import Check, CheckList
from blocks.storage.acceptance.comparison import PreviousExport, add_comparison
from blocks.storage.acceptance.rules import MeshRules, is_between, is_inside
from blocks.storage.content.models import TilesetContent


def check_mesh_rules(rules: MeshRules, tileset: TilesetContent, previous: PreviousExport | None) -> list[Check]:
    """One check for each rule.

    Args:
        rules: The rules.
        tileset: Content report of the tileset.
        previous: The export that was published before.
    """
    found = CheckList("mesh")
    found.at_least("min_tiles", rules.min_tiles, tileset.tiles)
    add_comparison(found, rules, tileset.tiles, "tiles", previous)
    _check_place(rules, tileset, found)
    largest = tileset.largest_tile
    found.at_most(
        "max_tile_bytes", rules.max_tile_bytes, largest.size if largest else 0, largest.path if largest else ""
    )
    if rules.forbid_extensions:
        used: list[JsonValue] = [one for one in rules.forbid_extensions if one in tileset.extensions_required]
        found.add("forbid_extensions", list(rules.forbid_extensions), used, passed=not used)
    return found.checks


def _check_place(rules: MeshRules, tileset: TilesetContent, found: CheckList) -> None:
    if rules.within is None:
        return
    limit: list[JsonValue] = list(rules.within)
    if tileset.extent is None:
        found.add("within", limit, None, passed=False, note="the tileset lies nowhere on the Earth")
        return
    bounds = (tileset.extent.west, tileset.extent.south, tileset.extent.east, tileset.extent.north)
    heights = (tileset.extent.lowest, tileset.extent.highest)
    is_right = is_inside(rules.within, *bounds) and is_between(rules.within, *heights)
    measured: list[JsonValue] = [round(value, 5) for value in (bounds + heights)[: len(rules.within)]]
    found.add("within", limit, measured, passed=is_right)
