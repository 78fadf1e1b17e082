"""Rules of the table `ifc` on the position of the model, checked against the georeference of each file."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from blocks.storage.acceptance.checks import CheckList
from blocks.storage.acceptance.imodel_place import TOLERANCE, IModelPlace
from blocks.storage.acceptance.map_projection import to_degrees
from blocks.storage.acceptance.rules import IfcRules, is_between, is_inside
from blocks.storage.content.models import Georeference, IfcContent

Point = tuple[float, float]
"""Longitude and latitude."""
_METRES = {"METRE": 1.0, "DECIMETRE": 0.1, "CENTIMETRE": 0.01, "MILLIMETRE": 0.001, "FOOT": 0.3048, "INCH": 0.0254}


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
        _check_box(rules.within, places, _heights_of(files) if len(rules.within) > 4 else [], found)


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


def _check_box(box: tuple[float, ...], places: _Places, heights: Sequence[float | str], found: CheckList) -> None:
    """Check that longitudes and latitudes lie in a box, then heights; a sentence in place of one makes it an error."""
    known = [height for height in heights if isinstance(height, float)]
    wrong = next((height for height in known if not is_between(box, height, height)), None)
    unknown = [height for height in heights if isinstance(height, str)]
    checked = places._replace(unknown=[*places.unknown, *unknown])
    lies_inside = all(is_inside(box, *point, *point) for point in places.points)
    if lies_inside and wrong is not None and not places.missing:
        found.add(
            "within", list(box), [*_rounded(places.points), round(wrong, 3)], passed=False, note="height in metres"
        )
    else:
        _check_all("within", list(box), checked, lambda point: is_inside(box, *point, *point), found)


def _heights_of(files: Iterable[IfcContent]) -> list[float | str]:
    """The heights of all georeferences in metres, or sentences about those that are not known."""
    return [_height_of(place, file) for file in files for place in file.georeferences]


def _height_of(place: Georeference, file: IfcContent) -> float | str:
    """The height in metres: that of a site is in the file's unit, that of a map conversion in that of its eastings."""
    unit = file.units.get("LENGTHUNIT", "no unit") if place.source == "site" else "METRE"
    if place.height is None:
        return f"a georeference in {file.path} has no height"
    if unit not in _METRES:
        return f"the height {place.height:g} of the site in {file.path} is in {unit}, which is not converted to metres"
    return place.height * _METRES[unit]


def _check_all(
    rule: str, limit: JsonValue, places: _Places, is_right: Callable[[Point], bool], found: CheckList, note: str = ""
) -> None:
    """Check that all places are right; one that is wrong counts more than one that cannot be converted."""
    wrong = [point for point in places.points if not is_right(point)]
    if places.missing or wrong:
        found.add(rule, limit, _rounded(wrong) or None, passed=False, note=places.missing or note)
    elif places.unknown:
        found.error(rule, limit, places.unknown[0])
    else:
        found.add(rule, limit, _rounded(places.points), passed=True, note=note)


def _rounded(points: Sequence[Point]) -> list[JsonValue]:
    """The first of some points; nothing of none."""
    return [round(value, 5) for value in points[0]] if points else []


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
