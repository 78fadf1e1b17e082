"""`itwin-export check` on files and tilesets that are already there."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.storage.content.models import ExportContent
from deployments.cli.app import run
from deployments.sandbox.content.ifc import IfcSubject, build_ifc
from deployments.sandbox.content.tiles import TilesSubject, build_tiles
from tests.blocks.storage.acceptance.ids_texts import FAILING, PASSING

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An IFC file, and a tileset in a folder of its own."""
    (tmp_path / "model.ifc").write_bytes(build_ifc(IfcSubject("Plant", "0" * 36, "a" * 40, "IFC4.3"), 5))
    for name, blob in build_tiles(TilesSubject("i", "c", 3), datetime.now(UTC)).items():
        path = tmp_path / "mesh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.read())
    return tmp_path


@pytest.mark.parametrize("path", ["model.ifc", ".", "mesh", "mesh/tileset.json"])
def test_a_file_or_a_tileset_is_reported_as_json(path: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document is `content.json` with a verdict, for a file, a folder of files, and a tileset."""
    assert run(["check", str(folder / path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("verdict") == "not_checked"
    content = ExportContent.model_validate(said)
    assert (content.tileset is not None) == path.startswith("mesh")
    assert [file.path for file in content.ifc] == ([] if path.startswith("mesh") else ["model.ifc"])


def test_a_table_shows_what_was_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People read the same as a table, and that nothing was checked."""
    assert run(["check", str(folder / "model.ifc")]) == 0
    said = capsys.readouterr().out
    assert "IFC4X3_ADD2" in said
    assert "IfcWall 2" in said
    assert "not checked" in said


RULES = """
[ifc]
min_elements = 8
require = { IfcWall = 2, IfcDoor = 1 }

[mesh]
min_tiles = 4
"""


def test_rules_decide_on_files_and_tilesets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that breaks a rule ends with 5 and a sentence with value and limit; a tileset that keeps all with 0."""
    (folder / "rules.toml").write_text(RULES)
    given = ["--acceptance", str(folder / "rules.toml")]
    assert run(["check", str(folder / "model.ifc"), "--json", *given]) == 5
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert said["verdict"] == "rejected"
    assert [(one["rule"], one["limit"], one["measured"], one["passed"]) for one in said["checks"]] == [
        ("ifc.min_elements", 8, 8, True),
        ("ifc.require.IfcWall", 2, 2, True),
        ("ifc.require.IfcDoor", 1, 0, False),
    ]
    assert "model.ifc is not what was agreed: ifc.require.IfcDoor: measured 0, limit 1." in printed.err
    assert run(["check", str(folder / "mesh"), *given]) == 0
    said_of_tiles = capsys.readouterr().out
    assert "mesh.min_tiles" in said_of_tiles
    assert "Verdict: accepted." in said_of_tiles


def test_rules_of_the_other_table_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mesh rules for an IFC file check nothing, and a sentence says which table there is."""
    (folder / "rules.toml").write_text("[mesh]\nmin_tiles = 1")
    assert run(["check", str(folder / "model.ifc"), "--acceptance", str(folder / "rules.toml")]) == 0
    printed = capsys.readouterr()
    assert "no table [ifc], only [mesh]: nothing was checked" in printed.err
    assert "Verdict: not checked." in printed.out


def test_what_cannot_be_decided_ends_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that cannot be measured accepts nothing: the exit code is 1, and the sentence says why."""
    crs = "#9001=IFCPROJECTEDCRS('EPSG:31468',$,$,$,$,$,$);#9002=IFCMAPCONVERSION(#1,#9001,4468000.,5333000.,0.,$,$,$);"
    model = folder / "model.ifc"
    model.write_text(model.read_text().replace("DATA;", f"DATA;{crs}"))
    (folder / "rules.toml").write_text("[ifc]\nwithin = [11.3, 48.0, 11.8, 48.3]")
    assert run(["check", str(model), "--acceptance", str(folder / "rules.toml")]) == 1
    assert "“EPSG:31468” cannot be converted to degrees" in capsys.readouterr().err


def test_a_rule_about_the_imodel_needs_an_export(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file alone is not compared with an iModel, and the table says so; that it has no georeference is seen."""
    (folder / "rules.toml").write_text('[ifc]\ngeoreference = "imodel"')
    given = ["check", str(folder / "model.ifc"), "--acceptance", str(folder / "rules.toml")]
    assert run(given) == 5
    assert "no georeference in model.ifc" in capsys.readouterr().err
    crs = "#9001=IFCPROJECTEDCRS('EPSG:25832',$,$,$,$,$,$);#9002=IFCMAPCONVERSION(#1,#9001,691607.,5334760.,0.,$,$,$);"
    model = folder / "model.ifc"
    model.write_text(model.read_text().replace("DATA;", f"DATA;{crs}"))
    assert run([*given, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "not_checked"
    assert said["checks"][0]["note"] == "it needs the iModel, which only an export knows"


def test_ids_documents_decide_on_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Documents named by --ids and by rules are checked together; the reports go into the folder that is asked for."""
    (folder / "passing.ids").write_text(PASSING)
    (folder / "failing.ids").write_text(FAILING)
    (folder / "rules.toml").write_text('ids = ["passing.ids"]')  # found from the folder of the rules
    given = ["check", str(folder / "model.ifc"), "--json", "--acceptance", str(folder / "rules.toml")]
    assert run(given) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "accepted"
    assert run([*given, "--ids", str(folder / "failing.ids"), "--report", str(folder / "reports")]) == 5
    printed = capsys.readouterr()
    rules = [one["rule"] for one in json.loads(printed.out)["checks"]]
    assert "ids.passing.ids: Walls have names" in rules
    assert "ids.failing.ids: There are doors: measured applies to 0, limit required" in printed.err
    assert {path.name for path in (folder / "reports").iterdir()} == {"acceptance.html", "acceptance.json"}


def test_ids_documents_that_cannot_be_used_end_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing, an unsafe and an invalid document are each refused with a sentence."""
    (folder / "bomb.ids").write_text('<!DOCTYPE ids [<!ENTITY a "b">]><ids>&a;</ids>')
    (folder / "wrong.ids").write_text(PASSING.replace("ifcVersion", "version"))
    for name, words in (("none", "There is no IDS document"), ("bomb", "document type"), ("wrong", "is invalid")):
        assert run(["check", str(folder / "model.ifc"), "--ids", str(folder / f"{name}.ids")]) == 2
        assert words in capsys.readouterr().err


def test_without_the_extra_documents_are_refused(folder: Path) -> None:
    """Where ifctester is not installed, rules that name documents end with 2 and say what to install; others work."""
    (folder / "agreed.ids").write_text(PASSING)
    (folder / "ids.toml").write_text('ids = ["agreed.ids"]')
    (folder / "plain.toml").write_text("[ifc]\nmin_elements = 1")
    script = (
        "import sys; sys.modules['ifctester'] = None; from deployments.cli.app import run; sys.exit(run(sys.argv[1:]))"
    )
    for arguments, code in (
        (["--ids", "agreed.ids"], 2),
        (["--acceptance", "./ids.toml"], 2),
        (["--acceptance", "./plain.toml"], 0),
    ):
        command = [sys.executable, "-c", script, "check", "model.ifc", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
        assert done.returncode == code, done.stderr
        assert ("pip install 'itwin-export[acceptance]'" in done.stderr) == (code == 2)


def test_texts_of_a_file_are_shown_as_they_are_spelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes in an IFC file do not reach the terminal."""
    head = (
        "ISO-10303-21;HEADER;FILE_DESCRIPTION((''),'2;1');FILE_NAME('','',(''),(''),'','','');FILE_SCHEMA(('\x1b[2J'));"
    )
    (tmp_path / "a.ifc").write_text(f"{head}ENDSEC;DATA;ENDSEC;END-ISO-10303-21;")
    assert run(["check", str(tmp_path / "a.ifc")]) == 0
    assert "\\x1b[2J" in capsys.readouterr().out


def test_what_cannot_be_checked_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files and missing ones end with 2, a tileset with a hole with 1; each sentence names what is wrong."""
    (folder / "notes.txt").write_text("notes")
    (folder / "mesh" / "overview.glb").unlink()
    os.mkfifo(folder / "pipe.ifc")
    for path, code, words in (
        ("notes.txt", 2, "neither"),
        ("none", 2, "none"),
        ("mesh", 1, "overview.glb"),
        ("x" * 300, 2, "cannot be read (File name too long)"),
        ("pipe.ifc", 2, "pipe.ifc cannot be read (Not a regular file)"),
        ("../../../../../../../dev/zero", 2, "zero cannot be read (Not a regular file)"),
    ):
        assert run(["check", str(folder / path)]) == code
        assert words in capsys.readouterr().err
