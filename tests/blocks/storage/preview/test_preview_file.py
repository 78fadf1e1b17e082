"""When an export gets a picture."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from blocks.storage import preview_file
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.preview import drawing
from blocks.storage.preview_file import add_preview, read_preview, require_preview


def manifest(*files: ManifestFile) -> Manifest:
    return Manifest(
        api_url="a",
        imodel_id="i",
        changeset_id="c",
        format="ifc",
        tool_version="1",
        files=files,
        created_at=datetime.now(UTC),
    )


def model(path: str, size: int = 3) -> ManifestFile:
    return ManifestFile(path=path, role="model", size=size, sha256="")


@pytest.fixture
def _without_vtk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "PACKAGES", ("os", "no_such_package"))


@pytest.mark.usefixtures("_without_vtk")
def test_a_missing_package_is_named_only_where_pictures_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, `on` is refused with what to install, while `auto` goes without."""
    monkeypatch.setenv("ITWIN_PREVIEW", "auto")
    require_preview()
    assert add_preview(manifest(model("a.ifc")), Path()).preview_reason == ""
    monkeypatch.setenv("ITWIN_PREVIEW", "on")
    with pytest.raises(ConfigurationError, match=r"needs no_such_package.*pip install 'itwin-export\[preview\]'"):
        require_preview()


def test_a_large_file_is_drawn_only_if_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With `auto` a file above the size has a reason in place of a picture, with `on` it is tried."""
    monkeypatch.setattr(preview_file, "LARGEST_IFC", 2)
    monkeypatch.setenv("ITWIN_PREVIEW", "auto")
    assert "more than 2 bytes" in add_preview(manifest(model("a.ifc")), tmp_path).preview_reason
    monkeypatch.setenv("ITWIN_PREVIEW", "on")
    assert "failed" in add_preview(manifest(model("a.ifc")), tmp_path).preview_reason


def test_a_file_of_the_export_is_not_overwritten(tmp_path: Path) -> None:
    """An export with a file `preview.png` of its own keeps it."""
    (tmp_path / "preview.png").write_bytes(b"own")
    drawn = add_preview(manifest(model("a.ifc"), model("preview.png")), tmp_path)
    assert drawn.preview_reason == "the export has a file preview.png of its own"
    assert (tmp_path / "preview.png").read_bytes() == b"own"


def test_only_a_picture_is_read_as_one(tmp_path: Path) -> None:
    """What is missing, no PNG, a link or too large is no picture."""
    path = tmp_path / "preview.png"
    assert read_preview(path) is None
    for content in (b"<html>", drawing.PNG_MAGIC + bytes(200_000)):
        path.write_bytes(content)
        assert read_preview(path) is None
    path.write_bytes(drawing.PNG_MAGIC)
    assert read_preview(path) == drawing.PNG_MAGIC
    link = tmp_path / "link.png"
    link.symlink_to(path)
    assert read_preview(link) is None
