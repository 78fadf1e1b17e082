"""The content report of a big IFC file: `python -m tests.benchmarks.ifc_content`; writes its section of REPORT.md."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from blocks.storage.content.ifc_content import read_ifc_content
from tests.benchmarks.big_file import GIGABYTE, REPOSITORY, peak_megabytes
from tests.benchmarks.report import machine, put_section

HEADER = (
    b"ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('big.ifc','',(''),(''),'','',$);\n"
    b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n"
)
END = b"ENDSEC;\nEND-ISO-10303-21;\n"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$"
STEP = 12
"""Instances of a wall with its shape and properties."""


def write_walls(path: Path, size: int) -> int:
    """A file of at least so many bytes with walls, their shapes and properties; returns how many walls it has."""
    dice, written, first = random.Random(1), 0, 1
    with path.open("wb") as file:
        file.write(HEADER)
        while written < size:
            walls = "".join(_wall(dice, first + STEP * number) for number in range(1000)).encode()
            written += file.write(walls)
            first += STEP * 1000
        file.write(END)
    return first // STEP


def _wall(dice: random.Random, at: int) -> str:
    def global_id() -> str:
        return dice.choice("0123") + "".join(dice.choices(ALPHABET, k=21))

    return (
        f"#{at}=IFCCARTESIANPOINT(({dice.random() * 40:.6f},{dice.random() * 25:.6f},0.));\n"
        f"#{at + 1}=IFCAXIS2PLACEMENT3D(#{at},$,$);\n#{at + 2}=IFCLOCALPLACEMENT($,#{at + 1});\n"
        f"#{at + 3}=IFCRECTANGLEPROFILEDEF(.AREA.,$,#{at + 1},3.25,0.2);\n"
        f"#{at + 4}=IFCEXTRUDEDAREASOLID(#{at + 3},#{at + 1},#{at},3.);\n"
        f"#{at + 5}=IFCSHAPEREPRESENTATION(#{at},'Body','SweptSolid',(#{at + 4}));\n"
        f"#{at + 6}=IFCPRODUCTDEFINITIONSHAPE($,$,(#{at + 5}));\n"
        f"#{at + 7}=IFCWALL('{global_id()}',#{at},'Wall {at}',$,$,#{at + 2},#{at + 6},$,$);\n"
        f"#{at + 8}=IFCPROPERTYSINGLEVALUE('Number',$,IFCINTEGER({at}),$);\n"
        f"#{at + 9}=IFCPROPERTYSINGLEVALUE('Remark',$,IFCLABEL('see (a); #12'),$);\n"
        f"#{at + 10}=IFCPROPERTYSET('{global_id()}',#{at},'Sandbox',$,(#{at + 8},#{at + 9}));\n"
        f"#{at + 11}=IFCRELDEFINESBYPROPERTIES('{global_id()}',#{at},$,$,(#{at + 7}),#{at + 10});\n"
    )


def write_long_line(path: Path, size: int) -> int:
    """A file whose one wall is preceded by an instance of so many bytes on one line."""
    with path.open("wb") as file:
        file.write(HEADER + b"#1=IFCCARTESIANPOINTLIST3D((")
        for _ in range(size // 1_000_000):
            file.write(b"(1.25,2.5,3.75)," * 62_500)
        file.write(b"(0.,0.,0.)));#2=IFCWALL('0123456789abcDEF_$0121',$,$,$,$,$,$,$,$);" + END)
    return 1


def measure(path: Path, *, checks_references: bool) -> dict[str, Any]:
    """Read it in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.ifc_content", str(path), str(int(checks_references))]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY).stdout)


def read(path: Path, *, checks_references: bool) -> None:
    """Read it and say what that took."""
    started, used = time.perf_counter(), time.process_time()
    content = read_ifc_content(path, checks_references=checks_references)
    taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used, "peak_mb": peak_megabytes()}
    sys.stdout.write(json.dumps({"walls": content.entities["IfcWall"], **taken}) + "\n")


def _rows(folder: Path) -> Generator[str]:
    path = folder / "model.ifc"
    for name, make, size in (
        ("1 GB of walls", write_walls, GIGABYTE),
        ("a 200 MB line", write_long_line, GIGABYTE // 5),
    ):
        walls = make(path, size)
        for checks in (False, True):
            took = measure(path, checks_references=checks)
            assert took["walls"] == walls
            speed = size / 1e6
            yield (
                f"| {name} | {'yes' if checks else 'no'} | {speed / took['seconds']:.0f} | {speed / took['cpu']:.0f} "
                f"| {took['peak_mb']:.0f} |"
            )


def main() -> None:
    """Measure both files and write the section."""
    with tempfile.TemporaryDirectory() as name:
        rows = list(_rows(Path(name)))
    text = f"""`python -m tests.benchmarks.ifc_content`: the content report of generated files, 62 bytes an instance,
every fourth with a GlobalId.

| file | reference check | MB/s by the clock | MB per CPU second | peak MB |
|---|---|---|---|---|
{chr(10).join(rows)}

{machine(["pydantic"])}
"""
    put_section("Content report of an IFC file", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [path, checks]:
            read(Path(path), checks_references=checks == "1")
        case _:
            main()
