"""Detection of products in an IFC without a parser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from blocks.storage.content.ifc_content import read_ifc_content
from blocks.storage.content.ifc_text import CHUNK

FRAME = {"IfcSite", "IfcBuilding", "IfcBuildingStorey"}
FACILITIES = ("IfcFacility", "IfcBridge", "IfcRoad", "IfcRailway", "IfcMarine")
GUID = "0123456789abcDEF_$0123"


def rooted_classes(schema: str) -> Iterator[tuple[str, bool]]:
    """Every class of a schema whose instances have a GlobalId, and whether they are more than the site's structure."""
    wrapper: Any = ifcopenshell.ifcopenshell_wrapper
    for declaration in wrapper.schema_by_name(schema).declarations():
        entity = declaration.as_entity()
        if entity is None or entity.is_abstract():
            continue
        names: list[str] = []
        above = entity
        while above is not None:
            names.append(above.name())
            above = above.supertype()
        if "IfcRoot" in names:
            is_frame = names[0] in FRAME or names[0].startswith(FACILITIES)
            yield names[0], "IfcProduct" in names and not is_frame


def holds_product(path: Path) -> bool:
    return read_ifc_content(path).holds_product


def write(folder: Path, lines: str) -> Path:
    path = folder / "model.ifc"
    path.write_text(f"ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\n{lines}\nENDSEC;\nEND-ISO-10303-21;\n")
    return path


@pytest.mark.parametrize("schema", ["IFC2X3", "IFC4", "IFC4X3_ADD2"])
def test_every_class_is_told_rightly(schema: str, tmp_path: Path) -> None:
    """An instance of each class with a GlobalId counts exactly if it is a product beyond site, building and storey."""
    classes = dict(rooted_classes(schema))
    told = {name: holds_product(write(tmp_path, f"#1={name.upper()}('{GUID}',#2,$);")) for name in classes}
    assert told == classes
    assert 50 < sum(told.values()) < len(told)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"#1= IFCWALL ( '{GUID}' , #2,$);", True),
        (f"#1=ifcwall('{GUID}',#2,$);", True),
        ("#1=IFCPRODUCTDEFINITIONSHAPE($,$,(#2));", True),
        ("#1=IFCPROPERTYSINGLEVALUE('ReferenceElevationName',$,IFCTEXT('IFCWALL'),$);", False),
        ("#1=IFCCARTESIANPOINT((0.,0.,0.));", False),
        ("", False),
    ],
)
def test_spellings(line: str, expected: bool, tmp_path: Path) -> None:
    """Blanks and lower case are accepted, a site with a shape counts, a class name in a string does not."""
    assert holds_product(write(tmp_path, line)) is expected


def test_a_product_across_two_chunks_is_seen(tmp_path: Path) -> None:
    """The only product is found wherever a chunk boundary falls."""
    for filler in (*range(CHUNK - 120, CHUNK + 10, 7), *range(4 * CHUNK - 120, 4 * CHUNK + 10, 7)):
        assert holds_product(write(tmp_path, " " * filler + f"#1=IFCWALL('{GUID}',#2,$);" + " " * 2000))
