"""The content report of an IFC file, against ifcopenshell where both can read the file."""

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from blocks.storage.content.ifc_classes import known_classes
from blocks.storage.content.ifc_content import read_ifc_content
from blocks.storage.content.ifc_text import read_pieces
from blocks.storage.content.models import ExportContent, Georeference, IfcContent, IfcSummary
from deployments.sandbox.content.ifc import SCHEMAS, IfcSubject, build_ifc

HEADER = (
    "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('a.ifc','2026-11-26T10:00:00',(''),(''),"
    "'Exporter 1','Plant, \\X2\\00C4\\X0\\',$);\nFILE_SCHEMA(('IFC4'));\nENDSEC;\n"
)
END = "ENDSEC;\nEND-ISO-10303-21;\n"
IDS = tuple(f"0123456789abcDEF_$012{number}" for number in range(1, 5))
WALL = f"#1=IFCWALL('{IDS[0]}',$,'w',$,$,#3,#4,$,$);\n"
DOOR = f"#2=IFCDOOR('{IDS[1]}',$,'d, e',$,$,#3,$,$,$,$,$,$,$);\n"
PLACE = "#3=IFCLOCALPLACEMENT($,#5);\n#4=IFCPRODUCTDEFINITIONSHAPE($,$,());\n#5=IFCAXIS2PLACEMENT3D($,$,$);\n"
BODY = WALL + DOOR + PLACE
HOSTILE = {
    "strings that hold instances": BODY
    + f"#6=IFCSLAB('{IDS[2]}',$,'#1=IFCWALL(''{IDS[0]}'',#99); #9=',$,$,#3,#4,$,$);",
    "comments across lines": "/* #8=IFCWALL('x');\nit's #9=IFCDOOR(\n*/"
    + BODY
    + f"#6=/* a /*/IFCSLAB/**/('{IDS[2]}',/*$*/$,$,$,$,#3,#4,$,$);",
    "comment marks in strings": BODY.replace("'w'", "'/*'").replace("'d, e'", "'*/'"),
    "instances over lines": BODY.replace(",", ",\n ").replace("=", "\n=\n").replace("(", "\n(\n"),
    "CRLF": BODY.replace("\n", "\r\n"),
    "no space": BODY.replace("\n", ""),
    "many spaces": BODY.replace("=", "   =\t ").replace("(", "   (  ").replace(",", "  ,  "),
    "lower case": BODY.replace("IFC", "ifc").replace("WALL", "wall").replace("DOOR", "dOOr"),
    "escapes": BODY.replace("'w'", "'\\X2\\00270028003B0023\\X0\\ \\X\\E4 \\S\\d; '''';'"),
    "complex instance": BODY + "#6=(IFCPERSON('a',$,$,$,$,$,$,$)IFCACTOR());\n#7=IFCPERSON($,'a',$,$,$,$,$,$);",
    "empty DATA section": "",
    "two DATA sections": f"{BODY}ENDSEC;\nDATA;\n#6=IFCSLAB('{IDS[2]}',$,$,$,$,#3,#4,$,$);\n",
    "one line": "".join(f"#{n}=IFCPERSON($,'a;',$,$,$,$,$,$);" for n in range(6, 2000)) + BODY.replace("\n", ""),
}


def write(folder: Path, data: str, header: str = HEADER) -> Path:
    path = folder / "model.ifc"
    path.write_bytes(f"{header}DATA;\n{data}\n{END}".encode())
    return path


def opened_by_others(path: Path) -> Any:
    code: Any = ifcopenshell
    return code.open(str(path))


def counted(path: Path) -> dict[str, int]:
    """The instances by class, as ifcopenshell has them."""
    opened = opened_by_others(path)
    return dict(Counter(instance.is_a() for instance in opened))


@pytest.mark.parametrize("version", SCHEMAS)
def test_counts_are_those_of_ifcopenshell(version: str, tmp_path: Path) -> None:
    """Entities, products and GlobalIds of each IFC version are those that ifcopenshell finds."""
    path = tmp_path / "model.ifc"
    path.write_bytes(build_ifc(IfcSubject("Plant", "0" * 36, "a" * 40, version), 130))
    opened = opened_by_others(path)
    content = read_ifc_content(path)
    assert content.entities == counted(path)
    assert content.products == dict(Counter(product.is_a() for product in opened.by_type("IfcProduct")))
    assert content.elements == sum(len(opened.by_type(name)) for name in ("IfcElement", spatial(version)))
    assert content.global_ids == len(opened.by_type("IfcRoot"))
    assert (content.storeys, content.proxies) == (4, len(opened.by_type("IfcBuildingElementProxy")))
    assert (content.missing_references, content.duplicate_global_ids) == (0, 0)
    assert (content.products_without_placement, content.products_without_representation) == (0, 0)
    assert (content.ifc_schema, content.application) == (SCHEMAS[version], "iTwin sandbox")
    assert content.applications == ("iTwin sandbox 1",)
    assert content.units == {"AREAUNIT": "SQUARE_METRE", "LENGTHUNIT": "METRE", "VOLUMEUNIT": "CUBIC_METRE"}


def spatial(version: str) -> str:
    return "IfcSpatialStructureElement" if version.startswith("IFC2x3") else "IfcSpatialElement"


@pytest.mark.parametrize("name", HOSTILE)
def test_any_spelling_is_counted_rightly(name: str, tmp_path: Path) -> None:
    """Whatever ISO 10303-21 allows, and strings that look like instances, give the counts of ifcopenshell."""
    path = write(tmp_path, HOSTILE[name])
    content = read_ifc_content(path)
    assert content.entities == counted(path)
    assert (content.missing_references, content.duplicate_global_ids) == (0, 0)
    assert (content.global_ids, content.products_without_representation) == ids_and_shapeless(path)


def ids_and_shapeless(path: Path) -> tuple[int, int]:
    opened = opened_by_others(path)
    shapeless = [product for product in opened.by_type("IfcProduct") if not product.Representation]
    return len(opened.by_type("IfcRoot")), len(shapeless)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_where_chunks_end_does_not_matter(name: str, size: int) -> None:
    """Strings, comments and instances that are cut between two chunks are masked as if they came in one."""
    text = HOSTILE[name][:3000].encode()
    whole, pieces = list(read_pieces(BytesIO(text))), list(read_pieces(BytesIO(text), size))
    assert b"".join(piece.raw for piece in pieces) == text
    assert b"".join(piece.masked for piece in pieces) == b"".join(piece.masked for piece in whole)


def test_a_file_with_a_hole_is_told(tmp_path: Path) -> None:
    """References to instances that do not exist are counted, each instance once, and the first one is named."""
    content = read_ifc_content(write(tmp_path, BODY + "#9=IFCLOCALPLACEMENT(#77,#66);\n#8=IFCLOCALPLACEMENT(#77,#5);"))
    assert (content.missing_references, content.first_missing) == (2, 66)


def test_references_may_go_either_way(tmp_path: Path) -> None:
    """An instance that follows, or whose number is written with zeros, is there."""
    assert (
        read_ifc_content(write(tmp_path, "#1=IFCLOCALPLACEMENT(#007,#3);\n#7=A();\n#03=B();")).missing_references == 0
    )


def test_a_hole_among_definitions_is_found(tmp_path: Path) -> None:
    """One undefined instance number is found, whether the numbers have equal or different lengths, in any order."""
    for numbers in (range(10, 60), range(9, 59), [*range(58, 8, -1)]):
        defined = "".join(f"#{number}=A();" for number in numbers if number != 50)
        content = read_ifc_content(write(tmp_path, f"{defined}#90=IFCLOCALPLACEMENT(#50,#20);"))
        assert (content.missing_references, content.first_missing) == (1, 50)


def test_very_high_numbers_are_not_checked(tmp_path: Path) -> None:
    """A file with instance numbers in the billions says that its references were not checked."""
    path = write(tmp_path, f"#1=IFCLOCALPLACEMENT(#{10**9},#{'9' * 5000});")
    assert read_ifc_content(path).missing_references is None
    assert read_ifc_content(write(tmp_path, BODY), checks_references=False).missing_references is None


def test_duplicates_and_what_shows_nothing_are_counted(tmp_path: Path) -> None:
    """A GlobalId that occurs three times counts twice; products without placement or representation are told apart."""
    walls = "".join(f"#{n}=IFCWALL('{IDS[0]}',$,'it''s, (a) wall',$,$,$,#4,$,$);\n" for n in (6, 7))
    content = read_ifc_content(write(tmp_path, BODY + walls + f"#8=IFCBUILDING('{IDS[2]}',$,$,$,$,$,$,$,$,$,$,$);"))
    assert (content.global_ids, content.duplicate_global_ids) == (5, 2)
    assert (content.products_without_placement, content.products_without_representation) == (2, 1)


def test_an_instance_without_parentheses_hides_no_other(tmp_path: Path) -> None:
    """What follows an instance that has no class is counted, with its GlobalId."""
    content = read_ifc_content(write(tmp_path, "#7=$;#8=;\n" + BODY + "#9=5"))
    assert (content.entities["IfcWall"], content.global_ids, content.missing_references) == (1, 2, 0)


def test_an_identifier_in_a_property_is_no_global_id(tmp_path: Path) -> None:
    """A string of 22 characters counts only as the first attribute of a class that has a GlobalId."""
    values = f"#6=IFCPERSON('{IDS[0]}',$,$,$,$,$,$,$);#7=IFCPROPERTYSINGLEVALUE($,$,IFCLABEL('{IDS[0]}'),$);"
    assert read_ifc_content(write(tmp_path, values)).global_ids == 0


def test_georeferences_units_and_header_are_read(tmp_path: Path) -> None:
    """A map conversion with its reference system, the place of a site, units by conversion, and escaped names."""
    lines = f"""
    #10=IFCMAPCONVERSION(#1,#11,691000.5,5335000.,/* ; */520.,1.,0.,1.);
    #11=IFCPROJECTEDCRS('EPSG:25832','it''s; (here)',$,$,$,$,$);
    #12=IFCSITE('{IDS[0]}',$,$,$,$,$,$,$,.ELEMENT.,(48,8,13,200000),(-11,-34,-30),520.,$,$);
    #13=IFCSIUNIT(*,.LENGTHUNIT.,.MILLI.,.METRE.);
    #14=IFCCONVERSIONBASEDUNIT(#1,.PLANEANGLEUNIT.,'DEGREE',#1);
    #15=IFCUNITASSIGNMENT((#13,#14));
    """
    content = read_ifc_content(write(tmp_path, lines))
    assert content.georeferences == (
        Georeference(source="map_conversion", crs="EPSG:25832", eastings=691000.5, northings=5335000.0, height=520.0),
        Georeference(source="site", latitude=48.137, longitude=-11.575, height=520.0),
    )
    assert content.units == {"LENGTHUNIT": "MILLIMETRE", "PLANEANGLEUNIT": "DEGREE"}
    assert (content.application, content.preprocessor) == ("Plant, Ä", "Exporter 1")
    assert content.time_stamp == "2026-11-26T10:00:00"


def test_what_is_no_ifc_gives_a_report_of_nothing(tmp_path: Path) -> None:
    """Any bytes can be read: a report of nothing is the result, and never an error."""
    path = tmp_path / "model.ifc"
    repeated = b"\0" * 5000, b"'" * 4001, b"/*" * 3000, b"=" * 9000, b"#=;(" * 3000, b"\xff=(;" * 2000
    for content in (b"", b"FILE_NAME('", *repeated):
        path.write_bytes(content)
        assert read_ifc_content(path) == IfcContent(
            path="model.ifc", size=len(content), ifc_schema="", missing_references=0
        )


def test_made_up_classes_are_bounded(tmp_path: Path) -> None:
    """Of the classes that no schema has, two thousand are told apart."""
    content = read_ifc_content(write(tmp_path, "".join(f"#{n}=MADEUP{n}();" for n in range(5000))))
    assert content.instances == 5000
    assert len(content.entities) == 2001


def test_the_list_of_classes_is_that_of_the_schemas() -> None:
    """Every class of the three schemas is known, with its spelling and what it is."""
    wrapper: Any = ifcopenshell.ifcopenshell_wrapper
    known = known_classes()
    for schema in ("IFC2X3", "IFC4", "IFC4X3_ADD2"):
        for entity in filter(None, (one.as_entity() for one in wrapper.schema_by_name(schema).declarations())):
            listed = known[entity.name().upper().encode()]
            is_kind = {name for name in ("IfcRoot", "IfcProduct", "IfcElement") if entity._is(name)}
            assert listed.name == entity.name()
            assert is_kind == {
                name
                for name, kinds in (
                    ("IfcRoot", {"root", "product", "spatial", "element"}),
                    ("IfcProduct", {"product", "spatial", "element"}),
                    ("IfcElement", {"element"}),
                )
                if listed.kind in kinds
            }


def test_the_short_form_adds_up_files(tmp_path: Path) -> None:
    """The summary of an export with two files has the counts of both."""
    one = read_ifc_content(write(tmp_path, BODY))
    summary = ExportContent(ifc=(one, one)).summary()
    assert isinstance(summary, IfcSummary)
    assert (summary.elements, summary.instances, summary.georeferences) == (4, 10, 0)
    assert summary.sentence() == "IFC4: 4 elements (0 % proxies), 0 storeys, 0 spaces, no georeference"
    single = summary.model_copy(update={"elements": 1, "storeys": 1, "spaces": 1})
    assert single.sentence() == "IFC4: 1 element (0 % proxies), 1 storey, 1 space, no georeference"
    broken = single.model_copy(update={"duplicate_global_ids": 1, "missing_references": 1})
    assert broken.sentence().endswith(", 1 duplicate GlobalId, 1 missing instance that others refer to")
