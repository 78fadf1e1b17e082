"""The rules of the table `ifc` on where the files lie, measured on their georeferences."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from blocks.storage.acceptance.checks import CheckList
from blocks.storage.acceptance.imodel_place import TOLERANCE, IModelPlace
from blocks.storage.acceptance.map_projection import to_degrees
from blocks.storage.acceptance.rules import IfcRules, is_inside
from blocks.storage.content.models import Georeference, IfcContent

Point = tuple[float, float]
"""Longitude and latitude."""


class _Places(NamedTuple):
    """The georeferences of all files."""

    points: list[Point]
    unknown: list[str]
    """A sentence for each that cannot be converted to degrees."""
    missing: str
    """Names the files without any; empty if there are none."""


def check_places(rules: IfcRules, files: Sequence[IfcContent], imodel: IModelPlace | None, found: CheckList) -> None:
    """Check georeferences; without an iModel nothing is compared with one."""
    places = _places_of(files)
    if rules.georeference == "required":
        count = sum(len(file.georeferences) for file in files)
        found.add("georeference", rules.georeference, count, passed=not places.missing, note=places.missing)
    if rules.georeference == "imodel":
        _compare(places, imodel, found)
    if rules.within is not None:
        box = rules.within
        _check_all("within", list(box), places, lambda point: is_inside(box, *point, *point), found)


def _compare(places: _Places, imodel: IModelPlace | None, found: CheckList) -> None:
    """Check that the files lie where the iModel lies."""
    rule, limit = "georeference", "imodel"
    if places.missing:
        found.add(rule, limit, None, passed=False, note=places.missing)
    elif imodel is None:
        found.not_measured(rule, limit, "it needs the iModel, which only an export knows")
    elif imodel.extent is None:
        found.error(rule, limit, f"the platform states no extent of iModel “{imodel.name}”")
    else:
        box = ", ".join(f"{value:g}" for value in imodel.extent)
        note = f"iModel “{imodel.name}” lies in [{box}], {TOLERANCE} m around it are allowed"
        _check_all(rule, limit, places, lambda point: imodel.holds(*point), found, note)


def _check_all(
    rule: str, limit: JsonValue, places: _Places, is_right: Callable[[Point], bool], found: CheckList, note: str = ""
) -> None:
    """Check that all places are right; one that is wrong counts more than one that cannot be converted."""
    wrong = [point for point in places.points if not is_right(point)]
    if places.missing or wrong:
        found.add(rule, limit, _rounded(wrong), passed=False, note=places.missing or note)
    elif places.unknown:
        found.error(rule, limit, places.unknown[0])
    else:
        found.add(rule, limit, _rounded(places.points), passed=True, note=note)


def _rounded(points: Iterable[Point]) -> JsonValue:
    """The first of some points."""
    return next(([round(value, 5) for value in point] for point in points), None)


def _places_of(files: Sequence[IfcContent]) -> _Places:
    points, unknown = list[Point](), list[str]()
    for place in (one for file in files for one in file.georeferences):
        point = _point_of(place)
        if point is None:
            unknown.append(_not_converted(place))
        else:
            points.append(point)
    without = ", ".join(file.path for file in files if not file.georeferences)
    return _Places(points, unknown, f"no georeference in {without}" if without else "")


def _point_of(place: Georeference) -> Point | None:
    if place.longitude is not None and place.latitude is not None:
        return place.longitude, place.latitude
    if place.crs is None or place.eastings is None or place.northings is None:
        return None
    return to_degrees(place.crs, place.eastings, place.northings)


def _not_converted(place: Georeference) -> str:
    return (
        f"eastings {place.eastings} and northings {place.northings} in “{place.crs or 'no named system'}” cannot be "
        f"converted to degrees: only UTM (WGS 84, ETRS89, NAD83, GDA) in metres and EPSG:3857 can"
    )
