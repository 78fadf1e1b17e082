"""`itwin-export check` on files and tilesets that are already there."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.storage.content.models import ExportContent
from deployments.cli.app import run
from deployments.sandbox.content.ifc import IfcSubject, build_ifc
from deployments.sandbox.content.tiles import TilesSubject, build_tiles


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


def test_what_cannot_be_checked_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files and missing ones end with 2, a tileset with a hole with 1; each sentence names what is wrong."""
    (folder / "notes.txt").write_text("notes")
    (folder / "mesh" / "overview.glb").unlink()
    for path, code, words in (("notes.txt", 2, "neither"), ("none", 2, "none"), ("mesh", 1, "overview.glb")):
        assert run(["check", str(folder / path)]) == code
        assert words in capsys.readouterr().err
