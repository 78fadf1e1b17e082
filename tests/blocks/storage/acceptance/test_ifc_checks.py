"""The rules for IFC files, each measured on a content report that passes and one that fails."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from blocks.storage.acceptance.checks import Check, Verdict, verdict_of
from blocks.storage.acceptance.comparison import PreviousExport
from blocks.storage.acceptance.ifc_checks import check_ifc_rules
from blocks.storage.acceptance.ifc_hierarchy import count_instances, subclasses_of
from blocks.storage.acceptance.imodel_place import IModelPlace
from blocks.storage.acceptance.judgement import judge
from blocks.storage.acceptance.map_projection import to_degrees
from blocks.storage.acceptance.rules import GivenRules, IfcRules, Rules
from blocks.storage.content.models import ExportContent, Georeference, IfcContent, TilesetContent

MUNICH = Georeference(source="map_conversion", crs="EPSG:25832", eastings=691607.86, northings=5334760.0)
CONTENT = IfcContent(
    path="model.ifc",
    size=5000,
    ifc_schema="IFC4",
    application="Exporter",
    applications=("iTwin Exporter 5.1",),
    entities={"IfcWallStandardCase": 3, "IfcDoor": 1, "IfcBuildingElementProxy": 4, "IfcBuildingStorey": 2},
    elements=10,
    proxies=4,
    storeys=2,
    georeferences=(MUNICH,),
    missing_references=0,
)
BEFORE = PreviousExport(created_at=datetime(2026, 11, 1, tzinfo=UTC), count=20)


def checks_of(rules: dict[str, Any], previous: PreviousExport | None = None, **changes: Any) -> dict[str, Check]:
    """The checks by rule, of the report above with changes."""
    content = CONTENT.model_copy(update=changes)
    return {check.rule: check for check in check_ifc_rules(IfcRules.model_validate(rules), [content], previous)}


@pytest.mark.parametrize(
    ("rule", "passing", "failing", "measured"),
    [
        ("min_elements", 10, 11, 10),
        ("max_elements", 10, 9, 10),
        ("max_proxy_percent", 40, 39.9, 40),
        ("min_storeys", 2, 3, 2),
        ("min_bytes", 5000, 5001, 5000),
        ("max_bytes", 5000, 4999, 5000),
        ("max_shrink_percent", 50, 49.9, 50),
        ("application", "itwin exporter 5", "iTwin Exporter 6", ["iTwin Exporter 5.1", "Exporter"]),
        ("within", [11.3, 48, 11.8, 48.3], [11.6, 48, 11.8, 48.3], [11.57556, 48.13722]),
    ],
)
def test_a_limit_is_kept_or_not(rule: str, passing: Any, failing: Any, measured: Any) -> None:
    """The limit itself is within it; either way the check holds the limit and what was measured."""
    for limit, result in ((passing, "passed"), (failing, "failed")):
        check = checks_of({rule: limit}, BEFORE)[f"ifc.{rule}"]
        assert (check.result, check.limit, check.measured) == (result, limit, measured)
        assert check.passed is (result == "passed")


@pytest.mark.parametrize(
    ("rule", "limit", "changes"),
    [
        ("georeference", "required", {"georeferences": ()}),
        ("within", [11.3, 48, 11.8, 48.3], {"georeferences": ()}),
        (
            "within",
            [11.3, 48, 11.8, 48.3],
            {"georeferences": (MUNICH, Georeference(source="site", latitude=0, longitude=0))},
        ),
        ("unique_global_ids", True, {"duplicate_global_ids": 1}),
        ("whole_references", True, {"missing_references": 1}),
        ("max_growth_percent", 20, {"elements": 25}),
    ],
)
def test_what_is_wrong_with_the_file_fails(rule: str, limit: Any, changes: dict[str, Any]) -> None:
    """The report above passes each of these rules, and the changed one fails it."""
    assert checks_of({rule: limit}, BEFORE)[f"ifc.{rule}"].result == "passed"
    assert checks_of({rule: limit}, BEFORE, **changes)[f"ifc.{rule}"].result == "failed"


def test_instances_of_subclasses_count() -> None:
    """IfcWallStandardCase is an IfcWall, where it is required and where it is forbidden."""
    found = checks_of({"require": {"IfcWall": 3, "IfcWindow": 1}, "forbid": ["IfcBuildingElement", "IfcPump"]})
    assert {rule: (check.measured, check.passed) for rule, check in found.items()} == {
        "ifc.require.IfcWall": (3, True),
        "ifc.require.IfcWindow": (0, False),
        "ifc.forbid.IfcBuildingElement": (8, False),
        "ifc.forbid.IfcPump": (0, True),
    }


@pytest.mark.parametrize("schema", ["IFC2X3", "IFC4", "IFC4X3_ADD2"])
def test_subclasses_are_those_of_the_schema(schema: str) -> None:
    """Every class with a GlobalId has the subclasses that ifcopenshell knows, with an addendum in the name too."""
    wrapper: Any = ifcopenshell.ifcopenshell_wrapper
    declared = wrapper.schema_by_name(schema).declarations()
    entities = [entity for entity in (one.as_entity() for one in declared) if entity and entity._is("IfcRoot")]
    for entity in entities:
        below = {one.name() for one in entities if one._is(entity.name())}
        assert subclasses_of(entity.name(), schema) == below
        assert subclasses_of(entity.name(), f"{schema}_TC1") == below
    assert count_instances("IfcCartesianPoint", {"IfcCartesianPoint": 2}, schema) == 2


@pytest.mark.parametrize(
    ("crs", "eastings", "northings", "longitude", "latitude"),
    [
        ("EPSG:25832", 691607.86, 5334760.0, 11.5755558, 48.1372185),
        ("urn:ogc:def:crs:EPSG::32733", 261878.0, 6243186.0, 12.4240621, -33.9248663),
        ("epsg 26910", 491000.0, 5458000.0, -123.1237293, 49.2746913),
        ("EPSG:7855", 321000.0, 5813000.0, 144.9664775, -37.8128626),
        ("EPSG:32601", 204000.0, 100.0, -179.6591157, 0.0009038),
        ("EPSG:3857", 1288400.0, 6130400.0, 11.5738941, 48.1413336),
    ],
)
def test_coordinates_are_those_of_proj(
    crs: str, eastings: float, northings: float, longitude: float, latitude: float
) -> None:
    """UTM of four datums and Web Mercator give the degrees that PROJ 9 gives, to a centimetre."""
    assert to_degrees(crs, eastings, northings) == pytest.approx((longitude, latitude), abs=1e-7)


@pytest.mark.parametrize(
    "place",
    [
        MUNICH.model_copy(update={"crs": "EPSG:31468"}),
        MUNICH.model_copy(update={"crs": None}),
        MUNICH.model_copy(update={"eastings": 691607860.0}),
        MUNICH.model_copy(update={"northings": None}),
    ],
)
def test_a_place_that_cannot_be_converted_is_an_error(place: Georeference) -> None:
    """Other reference systems and coordinates in millimetres are never passed silently; a place outside still fails."""
    box = {"within": [11.3, 48, 11.8, 48.3]}
    check = checks_of(box, georeferences=(MUNICH, place))["ifc.within"]
    assert (check.result, check.measured) == ("error", None)
    assert "cannot be converted" in check.note
    outside = Georeference(source="site", latitude=-48.1, longitude=11.5)
    assert checks_of(box, georeferences=(outside, place))["ifc.within"].result == "failed"


@pytest.mark.parametrize(
    ("place", "result", "words"),
    [
        (IModelPlace(name="Plant", extent=(11.5, 48.1, 11.6, 48.2)), "passed", ""),
        (IModelPlace(name="Plant", extent=(11.58, 48.14, 11.6, 48.2)), "passed", ""),
        (
            IModelPlace(name="Plant", extent=(11.6, 48.1, 11.7, 48.2)),
            "failed",
            "[11.57556, 48.13722], limit imodel (iModel “Plant” lies in [11.6, 48.1, 11.7, 48.2], 1000 m around it",
        ),
        (IModelPlace(name="Plant"), "error", "the platform states no extent of iModel “Plant”"),
        (None, "not_measured", "it needs the iModel, which only an export knows"),
    ],
)
def test_a_file_lies_where_its_imodel_lies(place: IModelPlace | None, result: str, words: str) -> None:
    """In the extent or near it passes; elsewhere both places are named; without an extent it is an error."""
    rules = IfcRules(georeference="imodel")
    (check,) = check_ifc_rules(rules, [CONTENT], None, place)
    assert (check.rule, check.result) == ("ifc.georeference", result)
    assert words in check.sentence()
    (missing,) = check_ifc_rules(rules, [CONTENT.model_copy(update={"georeferences": ()})], None, place)
    assert (missing.result, missing.note) == ("failed", "no georeference in model.ifc")


def test_a_place_that_cannot_be_converted_is_not_compared_with_the_imodel() -> None:
    """With another reference system the check has the status `error`, and its reason names the system."""
    gauss = CONTENT.model_copy(update={"georeferences": (MUNICH, MUNICH.model_copy(update={"crs": "EPSG:31468"}))})
    place = IModelPlace(name="Plant", extent=(11.5, 48.1, 11.6, 48.2))
    (check,) = check_ifc_rules(IfcRules(georeference="imodel"), [gauss], None, place)
    assert (check.result, "EPSG:31468” cannot be converted" in check.note) == ("error", True)


SITE = Georeference(source="site", latitude=48.1, longitude=11.5, height=520_000)


@pytest.mark.parametrize(
    ("place", "unit", "result", "words"),
    [
        (MUNICH.model_copy(update={"height": 520.0}), "MILLIMETRE", "passed", ""),
        (MUNICH.model_copy(update={"height": 399.0}), "METRE", "failed", "[11.57556, 48.13722, 399.0]"),
        (MUNICH.model_copy(update={"height": 601.0, "eastings": 0.0}), "METRE", "failed", "measured [2.2"),
        (MUNICH, "METRE", "error", "a georeference in model.ifc has no height"),
        (MUNICH.model_copy(update={"crs": "EPSG:31468", "height": 520.0}), "METRE", "error", "cannot be converted"),
        (SITE, "MILLIMETRE", "passed", ""),
        (SITE, "METRE", "failed", "[11.5, 48.1, 520000.0]"),
        (SITE, "FURLONG", "error", "the height 520000 of the site in model.ifc is in FURLONG"),
    ],
)
def test_heights_are_in_the_box(place: Georeference, unit: str, result: str, words: str) -> None:
    """A box with two heights takes metres; a site's height is converted, and one that is unknown is an error."""
    box = [11.3, 48, 11.8, 48.3, 400, 600]
    check = checks_of({"within": box}, georeferences=(place,), units={"LENGTHUNIT": unit})["ifc.within"]
    assert (check.result, check.limit) == (result, box)
    assert words in check.sentence()


def test_references_that_were_not_checked_are_an_error() -> None:
    """A file with numbers too high for the reference check is not accepted for whole references."""
    assert checks_of({"whole_references": True}, missing_references=None)["ifc.whole_references"].result == "error"


@pytest.mark.parametrize(
    "previous", [None, BEFORE.model_copy(update={"count": None}), BEFORE.model_copy(update={"count": 0})]
)
def test_without_an_export_before_nothing_is_compared(previous: PreviousExport | None) -> None:
    """Without an export before, or without its count, shrinkage and growth are not measured, and the check says so."""
    for check in checks_of({"max_shrink_percent": 1, "max_growth_percent": 1}, previous).values():
        assert (check.result, check.measured) == ("not_measured", None)
        assert "no elements to compare with" in check.note


def test_what_is_compared_is_said() -> None:
    """The note of a comparison has both counts and the date of the export before."""
    check = checks_of({"max_shrink_percent": 10}, BEFORE)["ifc.max_shrink_percent"]
    assert check.sentence() == (
        "ifc.max_shrink_percent: measured 50.0, limit 10.0 (10 elements, 20 in the export of 2026-11-01 00:00 UTC)"
    )


def test_files_are_taken_together() -> None:
    """Of two files, counts and bytes add up, and each must have a georeference."""
    rules = IfcRules(min_elements=20, require={"IfcWall": 6}, max_bytes=9999, georeference="required")
    second = CONTENT.model_copy(update={"georeferences": (), "path": "second.ifc"})
    found = {check.rule: check for check in check_ifc_rules(rules, [CONTENT, second], None)}
    failed = {rule for rule, check in found.items() if not check.passed}
    assert failed == {"ifc.max_bytes", "ifc.georeference"}
    assert "second.ifc" in found["ifc.georeference"].note


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], "not_checked"),
        (["not_measured"], "not_checked"),
        (["passed", "not_measured"], "accepted"),
        (["passed", "error"], "error"),
        (["passed", "error", "failed"], "rejected"),
    ],
)
def test_the_verdict_follows_from_the_checks(results: list[Any], verdict: Verdict) -> None:
    """One failed rule rejects, one that could not be measured is an error, and nothing measured is not checked."""
    assert verdict_of(Check(rule="ifc.x", result=result) for result in results) == verdict


def test_rules_of_the_other_table_check_nothing() -> None:
    """Mesh rules alone leave an IFC export unchecked, with a warning that names the table that is there."""
    given = GivenRules(source="rules.toml", rules=Rules.model_validate({"mesh": {"min_tiles": 1}}))
    found = judge(given, ExportContent(ifc=(CONTENT,)), Path(), None)
    assert (found.verdict, found.checks) == ("not_checked", ())
    assert "rules.toml hold no table [ifc], only [mesh]: nothing was checked" in found.warnings[0]
    assert judge(given, ExportContent(tileset=TilesetContent(tiles=1)), Path(), None).verdict == "accepted"


def test_named_documents_are_never_accepted_unseen() -> None:
    """Rules that name IDS documents do not accept a file whose documents were not checked."""
    given = GivenRules(source="r", rules=Rules.model_validate({"ids": ["a.ids"], "ifc": {"min_elements": 1}}))
    assert judge(given, ExportContent(ifc=(CONTENT,)), Path(), None).verdict == "error"
