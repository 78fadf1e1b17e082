"""The drawing process: the pictures it writes, and the reasons it gives where it writes none."""

import os
from pathlib import Path

import numpy as np
import pytest

from blocks.storage.preview import drawing
from blocks.storage.preview.drawing import Limits, draw
from blocks.storage.preview.limits import LARGEST_PICTURE
from deployments.sandbox.content.ifc import SCHEMAS, IfcSubject, build_ifc
from tests.blocks.storage.preview.models import (
    ENDLESS,
    b3dm,
    boxes,
    cube_glb,
    ifc,
    pixels_of,
    sandbox_tiles,
    share_filled,
    tileset,
)

PATIENT = Limits(seconds=150)
"""The machine may do something else meanwhile."""


def assert_fair(png: bytes) -> None:
    """It is a picture of bounded size, and the model fills a fair part of it."""
    assert 0 < len(png) <= LARGEST_PICTURE
    filled, across = share_filled(png)
    assert filled > 0.05
    assert across > 0.85


ONE, *OTHERS = SCHEMAS


@pytest.mark.parametrize("version", [ONE, *(pytest.param(one, marks=pytest.mark.campaign) for one in OTHERS)])
def test_each_ifc_version_is_drawn(version: str, tmp_path: Path) -> None:
    """A file of the stand-in platform in each IFC version is drawn, and its model fills the picture."""
    path = tmp_path / "Plant A.ifc"
    path.write_bytes(build_ifc(IfcSubject("Plant A", "imodel", "a" * 40, version), 40))
    drawn = draw("ifc", [path], PATIENT)
    assert drawn.reason == ""
    assert_fair(drawn.png)


@pytest.mark.parametrize("tiles", [64, pytest.param(600, marks=pytest.mark.campaign)])
def test_tilesets_are_drawn(tiles: int, tmp_path: Path) -> None:
    """Both tilesets of the stand-in platform, of Plant A and of the stadium, are drawn."""
    drawn = draw("mesh", [sandbox_tiles(tmp_path, tiles)], PATIENT)
    assert drawn.reason == ""
    assert_fair(drawn.png)


def test_colors_are_those_of_the_materials(tmp_path: Path) -> None:
    """A roof has the very color of its style, and all else a shade of it."""
    drawn = draw("ifc", [boxes(tmp_path / "red.ifc", [1.0], (0.8, 0.2, 0.1))], PATIENT)
    pixels = pixels_of(drawn.png).reshape(-1, 3)
    roof = np.abs(pixels - (204, 51, 26)).max(axis=1) <= 6
    assert roof.mean() > 0.05
    colored = pixels[np.ptp(pixels, axis=1) > 60]
    assert (colored[:, 0] > 2 * colored[:, 1]).mean() > 0.95


def test_colors_of_tiles_are_those_of_their_materials(tmp_path: Path) -> None:
    """A blue material of a batched model, far from the origin of its file, is drawn blue."""
    model = b3dm(cube_glb(), {"BATCH_LENGTH": 0, "RTC_CENTER": [4_000_000.0, 1_000_000.0, 4_800_000.0]})
    folder = tileset(tmp_path / "mesh", {"geometricError": 0, "content": {"uri": "a.b3dm"}}, a_b3dm=model)
    drawn = draw("mesh", [folder], PATIENT)
    assert_fair(drawn.png)
    pixels = pixels_of(drawn.png).reshape(-1, 3)
    assert ((pixels[:, 2] > 90) & (pixels[:, 0] < 60)).mean() > 0.05


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it has no product with a shape"),
        (ENDLESS, "the process that draws it crashed (Segmentation fault)"),
    ],
    ids=["empty", "crash"],
)
def test_an_ifc_file_that_cannot_be_drawn_has_a_reason(body: str, reason: str, tmp_path: Path) -> None:
    """An empty file and one that crashes the geometry kernel give a reason and no picture."""
    drawn = draw("ifc", [ifc(tmp_path / "a.ifc", body)])
    assert drawn.png == b""
    assert drawn.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            cube_glb(extensionsRequired=["KHR_draco_mesh_compression"]),
            "its tiles are not drawn: compressed with KHR_draco",
        ),
        (cube_glb(version=1), "its tiles are not drawn: glTF 1"),
        (b"vctr" + bytes(24), "its tiles are not drawn: vctr"),
        (cube_glb(meshes=[{"primitives": []}]), "it has no surface or solid"),
    ],
    ids=["draco", "glTF 1", "vectors", "no triangles"],
)
def test_a_tileset_that_cannot_be_drawn_has_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    """A tileset of compressed or unsupported tiles has no picture, and the reason names the format."""
    drawn = draw(
        "mesh", [tileset(tmp_path / "mesh", {"geometricError": 0, "content": {"uri": "a.glb"}}, a_glb=content)]
    )
    assert drawn.png == b""
    assert drawn.reason.startswith(reason)


def test_what_the_process_says_last_is_the_reason(tmp_path: Path) -> None:
    """A file that is no IFC ends the process that draws with an error, which is the reason."""
    path = tmp_path / "a.ifc"
    path.write_text("no IFC")
    assert draw("ifc", [path]).reason.startswith("the process that draws it failed (")


def test_a_picture_has_a_time_limit(tmp_path: Path) -> None:
    """A file that takes longer than the limit is given up, while it is read or drawn, and the reason says so."""
    drawn = draw("ifc", [boxes(tmp_path / "a.ifc", [1.0] * 20_000)], Limits(seconds=1))
    assert drawn.reason in {"reading it takes too long", "drawing it takes more than 1 s"}
    assert not drawn.png


def test_files_of_an_export_are_not_imported(tmp_path: Path) -> None:
    """A tileset with files that are named like modules of Python is drawn without running them."""
    folder = sandbox_tiles(tmp_path, 2)
    for name in ("json.py", "numpy.py", "vtkmodules.py"):
        (folder / name).write_text("raise SystemExit('imported')")
    previous = Path.cwd()
    os.chdir(folder)
    try:
        assert draw("mesh", [folder], PATIENT).reason == ""
    finally:
        os.chdir(previous)


def test_the_process_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that draws is started without the settings and secrets of the environment."""
    seen = tmp_path / "seen"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {seen}\n")
    python.chmod(0o700)
    monkeypatch.setattr(drawing.sys, "executable", str(python))
    monkeypatch.setenv("ITWIN_CLIENT_SECRET", "hidden-1")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hidden-2")
    draw("ifc", [tmp_path / "a.ifc"])
    assert "PYTHONPATH=" in seen.read_text()
    assert "hidden" not in seen.read_text()


def test_a_process_that_cannot_be_started_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no Python to start there is a reason."""
    monkeypatch.setattr(drawing.sys, "executable", str(tmp_path / "python"))
    drawn = draw("ifc", [tmp_path / "a.ifc"])
    assert drawn.reason == "the process that draws cannot be started (No such file or directory)"
