"""A file is the requested IFC, or the error tells what it is instead."""

from pathlib import Path
from typing import Any, Literal

import ifcopenshell
import pytest

from blocks.errors import ContentError
from blocks.storage.ifc_check import check_ifc, fits

Schema = Literal["IFC2X3", "IFC4", "IFC4X3"]

HEAD = "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\n"
TAIL = "ENDSEC;\nDATA;\n#1=IFCPROJECT('x',$);\nENDSEC;\nEND-ISO-10303-21;\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "model.ifc"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("schema", "version"),
    [("IFC2X3", "IFC2x3"), ("IFC2X3", "IFC2x3 CV 2.0"), ("IFC4", "IFC4 RV 1.2"), ("IFC4X3", "IFC4.3")],
)
def test_real_files(schema: Schema, version: str, tmp_path: Path) -> None:
    """Files written by IfcOpenShell pass for each version of the Export API."""
    model: Any = ifcopenshell.file(schema=schema)
    model.create_entity("IfcProject", GlobalId="0000000000000000000000")
    path = write(tmp_path, model.to_string())
    assert check_ifc(path, version).startswith(schema)


@pytest.mark.parametrize(
    ("schema", "version", "expected"),
    [
        ("IFC4X3_ADD2", "IFC4.3", True),
        ("IFC4X3", "IFC4 RV 1.2", False),
        ("IFC4", "IFC4.3", False),
        ("ifc2x3", "IFC2x3", True),
        ("IFC2X2", "IFC2x3", False),
    ],
)
def test_fits(schema: str, version: str, expected: bool) -> None:
    """A schema with the prefix of another version, such as IFC4 and IFC4.3, is not accepted for it."""
    assert fits(schema, version) is expected


@pytest.mark.parametrize(
    "statement",
    [
        "FILE_SCHEMA(('IFC4'));",
        "FILE_SCHEMA (\n  ( 'IFC4' )\n) ;",
        "/* FILE_SCHEMA(('IFC2X3')); */ FILE_SCHEMA/**/(('IFC4'));",
        "FILE_NAME('FILE_SCHEMA((''IFC2X3''));',''); FILE_SCHEMA(('IFC4'));",
        "FILE_NAME('it''s; ENDSEC;','',(''),(''),'','','');\r\nFILE_SCHEMA(('IFC4'));",
        "file_schema(('IFC4'));",
        "FILE_NAME('" + "x" * 300_000 + "','',(''),(''),'','','');FILE_SCHEMA(('IFC4'));",
    ],
)
def test_ways_to_write_a_header(statement: str, tmp_path: Path) -> None:
    """Headers of any length with comments, line breaks and quotes are accepted."""
    assert check_ifc(write(tmp_path, HEAD + statement + TAIL), "IFC4 RV 1.2") == "IFC4"


WHOLE = HEAD + "FILE_SCHEMA(('IFC4'));" + TAIL
SIGNATURE = "SIGNATURE;\nMIIBszCCARwCAQAwDQYJKoZIhvcNAQEFBQAw\n" * 400 + "ENDSEC;\n"


def of_schema(schema: str) -> str:
    return HEAD + f"FILE_SCHEMA(('{schema}'));" + TAIL


@pytest.mark.parametrize(
    ("text", "version", "schema"),
    [
        (of_schema("IFC2X3_TC1"), "IFC2x3", "IFC2X3_TC1"),
        (of_schema("IFC2X3_FINAL"), "IFC2x3 CV 2.0", "IFC2X3_FINAL"),
        (of_schema("IFC4_ADD2"), "IFC4 RV 1.2", "IFC4_ADD2"),
        (of_schema("IFC4_ADD2_TC1"), "IFC4 DTV 1.2", "IFC4_ADD2_TC1"),
        (of_schema("IFC4X3_ADD2"), "IFC4.3", "IFC4X3_ADD2"),
        ("\ufeff" + WHOLE, "IFC4 RV 1.2", "IFC4"),
        (WHOLE + " \t\r\n" * 3000, "IFC4 RV 1.2", "IFC4"),
        (WHOLE + "\x00" * 200_000, "IFC4 RV 1.2", "IFC4"),
        (WHOLE + "\x1a", "IFC4 RV 1.2", "IFC4"),
        (WHOLE + SIGNATURE, "IFC4 RV 1.2", "IFC4"),
        (WHOLE + SIGNATURE + "SIGNATURE\nMIIB\nENDSEC ;\r\n\x00\x1a", "IFC4 RV 1.2", "IFC4"),
        (WHOLE + "/* END-ISO-10303-21; written by an exporter */" + "/* notes */" * 900, "IFC4 RV 1.2", "IFC4"),
    ],
)  # fmt: skip
def test_foreign_heads_and_tails(text: str, version: str, schema: str, tmp_path: Path) -> None:
    """What other exporters write before and after the model, and how they name the schema, is accepted."""
    assert check_ifc(write(tmp_path, text), version) == schema


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (of_schema("IFC4X1"), "is IFC4X1, but"),
        (of_schema("IFC4_ADD2_ALPHA"), "is IFC4_ADD2_ALPHA, but"),
        (of_schema("IFC2X3_TC1"), "is IFC2X3_TC1, but"),
        (WHOLE[:-12] + "\x00" * 200_000, "cut off"),
        (WHOLE + SIGNATURE[:-9], "cut off"),
        (WHOLE + "/* a comment without an end", "cut off"),
        (WHOLE.rstrip().removesuffix(";"), "cut off"),
        ("\x00" * 100_000, "not an IFC file"),
    ],
)
def test_foreign_heads_and_tails_refused(text: str, complaint: str, tmp_path: Path) -> None:
    """A draft schema, padding in place of the end, and an unfinished signature or comment are refused."""
    with pytest.raises(ContentError, match=complaint):
        check_ifc(write(tmp_path, text), "IFC4 RV 1.2")


def test_hostile_tail(tmp_path: Path) -> None:
    """Megabytes of unfinished comments and signatures are checked in about the time of reading them a few times."""
    for ending in ("END-ISO-10303-21;/*", "END-ISO-10303-21;SIGNATURE", "END-ISO-10303-21;/**/"):
        with pytest.raises(ContentError, match="cut off"):
            check_ifc(write(tmp_path, HEAD + ending * 250_000 + "x"), "IFC4 RV 1.2")


@pytest.mark.parametrize("before", ["\ufeff", "\n\n", "/* made by hand */\n"])
def test_before_the_first_word(before: str, tmp_path: Path) -> None:
    """A byte-order mark, blank lines or a comment may come first, blanks and comments last."""
    text = before + HEAD + "FILE_SCHEMA(('IFC4'));" + TAIL + " \r\n/* end */\n"
    assert check_ifc(write(tmp_path, text), "IFC4 RV 1.2") == "IFC4"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not an IFC file"),
        ("<html>Sign in</html>", "not an IFC file"),
        (HEAD + "FILE_SCHEMA(('IFC4'));" + TAIL[:-12], "cut off"),
        (HEAD + "FILE_SCHEMA(('IFC4'));" + TAIL + "\n#2=IFCWALL();", "cut off"),
        (HEAD + TAIL, "names no schema"),
        (HEAD + "FILE_SCHEMA(('IFC2X3'));" + TAIL, "is IFC2X3, but IFC4 RV 1.2 was asked for"),
    ],
)
def test_refused(text: str, complaint: str, tmp_path: Path) -> None:
    """A file that is not IFC, incomplete or of another version is rejected with the reason."""
    with pytest.raises(ContentError, match=complaint):
        check_ifc(write(tmp_path, text), "IFC4 RV 1.2")


def test_hostile_header(tmp_path: Path) -> None:
    """Megabytes of quotes, slashes and open comments are checked in about the time of reading them."""
    path = write(tmp_path, HEAD + "'/*" * 1_000_000 + TAIL)
    with pytest.raises(ContentError):
        check_ifc(path, "IFC4 RV 1.2")
