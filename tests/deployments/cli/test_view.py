"""Looking at what was exported: what the viewer finds, and what it says when it cannot show it."""

from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from deployments.cli.app import run
from deployments.viewer.server import create_app, sights


def export_into(folder: Path, *names: str) -> None:
    """A published export with its manifest."""
    folder.mkdir(parents=True)
    for name in ("manifest.json", *names):
        (folder / name).touch()


@pytest.mark.parametrize(
    ("place", "names"), [("", ["a/ifc/Plant A.ifc", "a/mesh/tileset.json"]), ("a/mesh", ["tileset.json"])]
)
def test_exports_are_found_wherever_one_points(tmp_path: Path, cli_sandbox: str, names: list[str]) -> None:
    """The whole output folder shows every export in it, an export's own folder that export."""
    export_into(tmp_path / "a" / "ifc", "Plant A.ifc", "Plant A.log")
    export_into(tmp_path / "a" / "mesh", "tileset.json")
    (tmp_path / "a" / "mesh" / "tiles").mkdir()
    (tmp_path / "a" / "mesh" / "tiles" / "tileset.json").touch()
    assert [sight.name for sight in sights(tmp_path / cli_sandbox)] == names


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_exports_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is nothing to look at, the command says so and ends with 2."""
    assert run(["view", str(tmp_path / name)]) == 2
    assert "here is no" in capsys.readouterr().err.replace("nothing", "no")


def test_a_machine_without_the_libraries_gets_one_sentence(tmp_path: Path) -> None:
    """Without the installed libraries the error says what to run."""
    export_into(tmp_path / "mesh", "tileset.json")
    with pytest.raises(ConfigurationError, match=r"python -m deployments\.node_tools"):
        create_app(tmp_path, modules=tmp_path / "node_modules")
