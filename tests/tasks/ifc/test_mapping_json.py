"""Mapping files: what is refused before anything is sent, and what is only a warning."""

import json
import re
from typing import Any

import ifcopenshell
import pytest

from blocks.errors import InputError
from tasks.ifc.mapping_json import LARGEST_MAPPING, check_mapping
from tasks.ifc.mapping_rows import find_oddities

DEFAULT = b"""{
  /* Process assembly as single IfcEntity.
     Default value is false. */
  "Global": {"JoinAssemblies": "false"},
  "Mapping": [
    { "Class": ["ArchPhys", "Door", "IfcDoor"] },   /* a row of three names */
    { "Class": ["OpenPlant_3D", "PIPE"], "IFC2x3": "IfcFlowSegment", "IFC4x3": "IfcPipeSegment" },
    { "Class": ["Civil", "Linear\\\\Utility /* no comment */", "IfcKerb"] }
  ]
}"""


def warnings_of(document: Any, version: str = "IFC4.3") -> list[str]:
    return list(find_oddities(document, version))


def test_a_file_like_the_vendors_own_is_taken_as_it_is() -> None:
    """Comments, a global section and three shapes of rows are no reason to warn, and nothing of them is changed."""
    checked = check_mapping(DEFAULT, "m.json", "IFC4.3")
    assert (checked.content, checked.warnings) == (DEFAULT, ())


def test_a_byte_order_mark_is_left_out() -> None:
    """A file with and one without the mark of UTF-8 are the same file."""
    marked = check_mapping(b"\xef\xbb\xbf" + DEFAULT, "m.json", "IFC4.3")
    assert marked.content == DEFAULT
    assert marked.version == check_mapping(DEFAULT, "m.json", "IFC4.3").version


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DEFAULT.replace(b"\\\\Utility", b"\\Utility"), r"line 8, column 33: a backslash .* must be written twice"),
        (b'{"a": "C:\\users\\plant"}', r"line 1, column 11: a backslash .* as in “Linear\\\\Utility” or “C:\\\\Users”"),
        (DEFAULT.replace(b'IfcKerb"] }', b'IfcKerb"] },'), r"line 9, column 3: .*comma after the last entry. Remove"),
        (b'{"a": 1,}', r"line 1, column \d: .*comma after the last entry"),
        (b'{\n/* one\ntwo */ "a": }', r"line 3, column 13: expecting value"),
        (b'{"a": 1 // one\n}', r"line 1, column 9: comments must be written as /\* … \*/"),
        (b'{"a": 1 /* one }', r"line 1, column 9: comments must be written"),
        (b'{"a": [1', r"the file ends before its JSON does"),
        (b"", r"line 1, column 1: the file ends before"),
        (b'{"a": 1}}', r"line 1, column 9: the JSON has already ended there"),
        (DEFAULT.decode().encode("utf-16"), r"m\.json is in UTF-16. Save it in UTF-8"),
        (DEFAULT.decode().encode("utf-16-be"), r"is in UTF-16"),
        ('{\n"Stra\u00dfe": 1}'.encode("latin-1"), r"not in UTF-8: line 2 has the byte 0xdf"),
        (b"[" * 100_000, r"cannot be read as JSON"),
        (
            b"[" + b"{}," * 600_000 + b"{}]",
            r"cannot be read as JSON \(it has more values than the memory should hold\)",
        ),
        (b'["' + b'/*\\\\"' * 300_000, r"line 1, column 8: comments must be written"),
        (b" " * (LARGEST_MAPPING + 1), r"has more than 20 MB. Check that it is the right file"),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(content: bytes, said: str) -> None:
    """The message names file, line and column, and what to do."""
    with pytest.raises(InputError, match=said) as caught:
        check_mapping(content, "m.json", "IFC4.3")
    assert "m.json" in str(caught.value)


def test_a_file_of_twenty_megabytes_is_taken() -> None:
    """The largest file has a few thousand rows among other things, and all of them are looked at."""
    row = {"Class": ["OpenPlant_3D", "PIPE", "IfcPipeSegment"], "IFC4x3": "IfcPipeSegmen"}
    rest = "x" * (LARGEST_MAPPING - 300_000)
    content = json.dumps([rest, *[row] * 3000]).encode()
    assert LARGEST_MAPPING * 0.95 < len(content) <= LARGEST_MAPPING
    assert ["IfcPipeSegmen:" in warning for warning in check_mapping(content, "m.json", "IFC4.3").warnings] == [True]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "it has no row"),
        (7, "it has no row"),
        ([{"Class": ["a", "b", "IGNORETHISCLASS"]}], "IFC4.3 has no class IGNORETHISCLASS: elements .* are left out"),
        ([{"Class": ["a", "b"], "IFC4x3": "IfcWal"}], "IFC4.3 has no class IfcWal"),
        ([{"Class": ["a", str(n), f"Ifc{n}"]} for n in range(7)], "Ifc0, Ifc1, Ifc2, Ifc3, Ifc4 and 2 more"),
        ({"m": [{"Class": ["a", "b"], "IFC2x3": "IfcWall"}]}, r"1 row without the key IFC4x3 for IFC4.3, as at m\[0\]"),
        ([{"Class": ["a", "b"]}, {"Class": "a"}, {"Class": [1, 2, 3]}], r"3 rows of classes with an .* at \[0\]"),
        ([{"Class": ["a", "Grading\tl_End", "IfcWall"]}], "1 row with a tab or line end in a name.*backslash twice"),
    ],
)
def test_what_is_odd_is_a_warning(rows: Any, said: str) -> None:
    """The format is documented in parts only, so nothing that parses is refused."""
    (warning,) = check_mapping(json.dumps(rows).encode(), "m.json", "IFC4.3").warnings
    assert warning.startswith("Mapping file m.json: ")
    assert re.search(said, warning), warning


def test_conditions_and_other_rows_are_not_looked_at() -> None:
    """Rows of properties, and members that are not known, cause no warning."""
    row = {"Class": ["a", "b", "IfcWall"], "Condition": [{"x": 1}], "Property": 3, "IFC4x3": "IfcSlab"}
    assert warnings_of([row, {"Property": ["a", "b"]}]) == []


@pytest.mark.parametrize(
    ("version", "schema"),
    [("IFC4.3", "IFC4X3_ADD2"), ("IFC2x3", "IFC2X3"), ("IFC2x3 CV 2.0", "IFC2X3"), ("IFC4 RV 1.2", "IFC4")],
)
def test_the_classes_of_a_version_are_those_of_its_schema(version: str, schema: str) -> None:
    """Every class of the schema is known, and one of another version is not."""
    entities: Any = ifcopenshell.schema_by_name(schema).entities()
    names = [entity.name() for entity in entities]
    assert warnings_of([{"Class": ["a", "b", name]} for name in names], version) == []
    other = "IfcKerb" if version != "IFC4.3" else "IfcStairFlightType2"
    assert warnings_of([{"Class": ["a", "b", other]}], version) != []
