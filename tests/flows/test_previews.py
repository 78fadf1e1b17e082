"""The picture of an export, from the flow to the published folder."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from blocks.storage.manifest import read_manifest
from blocks.storage.preview_file import read_preview
from blocks.storage.publish import verify_published
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def _pictures(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are on, and tiles take a moment."""
    sandbox.state.options.mesh_seconds = 0.3
    monkeypatch.setenv("ITWIN_PREVIEW", "on")


def folder_of(report: ExportReport) -> Path:
    return Path(report.output_dir) / report.imodel_id / report.format


def assert_published(report: ExportReport) -> None:
    """The picture lies beside the export, is named in its manifest and is no file of the report."""
    folder = folder_of(report)
    assert report.preview == f"{report.imodel_id}/{report.format}/preview.png"
    assert report.preview_reason == ""
    picture = read_preview(folder / "preview.png")
    manifest = read_manifest(folder)
    assert picture
    assert manifest
    assert {file.path: file.size for file in manifest.files if file.role == "preview"} == {"preview.png": len(picture)}
    assert not any(file.path.endswith("preview.png") for file in report.files)
    verify_published(folder, manifest, full=True)


async def test_the_picture_lies_beside_the_file() -> None:
    """An IFC export has a picture, which a skipped one reports too and the history keeps."""
    report = await export_ifc(SEEDED.plant, changeset_id="4")
    assert_published(report)
    assert (await export_ifc(SEEDED.plant, changeset_id="4")).preview == report.preview
    assert_published(await export_ifc(SEEDED.plant, keep=1))
    assert len(list(folder_of(report).glob("history/*/preview.png"))) == 1


async def test_the_picture_lies_beside_the_tiles() -> None:
    """A mesh export has a picture, which is replaced together with its tiles."""
    for report in (await export_mesh(SEEDED.plant), await export_mesh(SEEDED.plant, force=True)):
        assert_published(report)
        assert not list(folder_of(report).parent.glob("mesh.kept*"))


async def test_a_picture_that_fails_hurts_no_export(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An export without a picture is published, and report and manifest have the reason."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    report = await export_ifc(SEEDED.plant)
    assert report.preview is None
    assert report.preview_reason == "the process that draws cannot be started (No such file or directory)"
    assert json.loads((folder_of(report) / "manifest.json").read_text())["preview_reason"] == report.preview_reason
    assert (await export_ifc(SEEDED.plant)).preview_reason == report.preview_reason


async def test_a_picture_is_no_reason_to_export_again(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that was made without a picture stays current when pictures are switched on."""
    monkeypatch.setenv("ITWIN_PREVIEW", "off")
    first = await export_ifc(SEEDED.plant)
    assert (first.preview, first.preview_reason) == (None, "")
    manifest: dict[str, Any] = json.loads((folder_of(first) / "manifest.json").read_text())
    del manifest["preview_reason"]
    (folder_of(first) / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("ITWIN_PREVIEW", "on")
    assert (await export_ifc(SEEDED.plant)).skipped
    assert len(list(sandbox.state.runs)) == 1
