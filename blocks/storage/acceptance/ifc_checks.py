"""The rules of the table `ifc`, measured on the content reports of IFC files."""

from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from blocks.storage.acceptance.checks import Check, CheckList
from blocks.storage.acceptance.comparison import PreviousExport, add_comparison
from blocks.storage.acceptance.ifc_hierarchy import count_instances
from blocks.storage.acceptance.map_projection import to_degrees
from blocks.storage.acceptance.rules import IfcRules, is_inside
from blocks.storage.content.models import Georeference, IfcContent


def check_ifc_rules(rules: IfcRules, files: Sequence[IfcContent], previous: PreviousExport | None) -> list[Check]:
    """One check for each rule; files are taken together.

    Args:
        rules: The rules.
        files: Content reports of the files of one export.
        previous: The export that was published before.
    """
    found = CheckList("ifc")
    elements = sum(file.elements for file in files)
    found.at_least("min_elements", rules.min_elements, elements)
    found.at_most("max_elements", rules.max_elements, elements)
    _check_classes(rules, files, found)
    add_comparison(found, rules, elements, "elements", previous)
    _check_place(rules, files, found)
    _check_wholeness(rules, files, found)
    found.at_least("min_storeys", rules.min_storeys, sum(file.storeys for file in files))
    size = sum(file.size for file in files)
    found.at_least("min_bytes", rules.min_bytes, size)
    found.at_most("max_bytes", rules.max_bytes, size)
    _check_application(rules, files, found)
    return found.checks


def _check_classes(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    for name, least in rules.require.items():
        found.at_least(f"require.{name}", least, _count(name, files))
    for name in rules.forbid:
        found.at_most(f"forbid.{name}", 0, _count(name, files))
    elements, proxies = sum(file.elements for file in files), sum(file.proxies for file in files)
    share = round(100 * proxies / elements, 2) if elements else 0.0
    found.at_most("max_proxy_percent", rules.max_proxy_percent, share, f"{proxies} of {elements} elements")


def _count(name: str, files: Sequence[IfcContent]) -> int:
    return sum(count_instances(name, file.entities, file.ifc_schema) for file in files)


def _check_place(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    places = [one for file in files for one in file.georeferences]
    without = [file.path for file in files if not file.georeferences]
    note = f"no georeference in {', '.join(without)}" if without else ""
    if rules.georeference:
        found.add("georeference", rules.georeference, len(places), passed=not without, note=note)
    if rules.within is None:
        return
    limit: list[JsonValue] = list(rules.within)
    outside, unknown = _outside(rules.within, places)
    if without or outside:
        found.add("within", limit, outside[0] if outside else None, passed=False, note=note)
    elif unknown:
        found.error("within", limit, unknown[0])
    else:
        found.add("within", limit, _degrees(places[0]), passed=True)


def _outside(box: tuple[float, ...], places: Sequence[Georeference]) -> tuple[list[JsonValue], list[str]]:
    """Longitude and latitude of what lies outside, and a sentence for each place that cannot be converted."""
    outside: list[JsonValue] = []
    unknown: list[str] = []
    for place in places:
        point = _point_of(place)
        if point is None:
            unknown.append(_not_converted(place))
        elif not is_inside(box, point[0], point[1], point[0], point[1]):
            outside.append(_degrees(place))
    return outside, unknown


def _point_of(place: Georeference) -> tuple[float, float] | None:
    if place.longitude is not None and place.latitude is not None:
        return place.longitude, place.latitude
    if place.crs is None or place.eastings is None or place.northings is None:
        return None
    return to_degrees(place.crs, place.eastings, place.northings)


def _degrees(place: Georeference) -> JsonValue:
    point = _point_of(place)
    return [round(value, 5) for value in point] if point else None


def _not_converted(place: Georeference) -> str:
    return (
        f"eastings {place.eastings} and northings {place.northings} in “{place.crs or 'no named system'}” cannot be "
        f"converted to degrees: only UTM (WGS 84, ETRS89, NAD83, GDA) in metres and EPSG:3857 can"
    )


def _check_wholeness(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    if rules.unique_global_ids:
        found.at_most("unique_global_ids", 0, sum(file.duplicate_global_ids for file in files), "duplicate GlobalIds")
    if not rules.whole_references:
        return
    missing = [file.missing_references for file in files]
    if None in missing:
        found.error("whole_references", 0, "the numbers of the instances are too high to check their references")
    else:
        found.at_most("whole_references", 0, sum(filter(None, missing)), "missing instances that others refer to")


def _check_application(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    if rules.application is None:
        return
    wanted = rules.application.casefold()
    named = [(*file.applications, file.application) for file in files]
    fits = all(any(one.casefold().startswith(wanted) for one in names) for names in named)
    measured: list[JsonValue] = list(Counter(one for names in named for one in names if one))
    found.add("application", rules.application, measured, passed=fits)
