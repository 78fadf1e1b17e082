"""The picture of an export as a file beside its manifest."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from blocks.disk import disk_errors, write_whole
from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from blocks.shared_folder import read_bounded
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.preview.drawing import PNG_MAGIC, Drawing, Kind, draw, missing_packages
from blocks.storage.preview.limits import LARGEST_IFC, LARGEST_PICTURE

PREVIEW_NAME = "preview.png"


def require_preview() -> None:
    """Check that pictures can be drawn if they are to be.

    Raises:
        ConfigurationError: `ITWIN_PREVIEW` is `on`, and a package is not installed.
    """
    if read_settings().preview == "on" and (missing := missing_extra()):
        raise ConfigurationError(f"ITWIN_PREVIEW=on needs {missing}, or set ITWIN_PREVIEW=auto.")


def missing_extra() -> str:
    """Which packages for pictures are not installed, and how to install them; empty if all are there."""
    if not (missing := missing_packages()):
        return ""
    return (
        f"{', '.join(missing)}, not installed here. Install the extra “preview”: "
        f"pip install 'itwin-export[preview]' (in a clone: pip install -e '.[preview]')"
    )


def add_preview(manifest: Manifest, folder: Path) -> Manifest:
    """Draw what lies in a staging folder, to be published with it; the manifest with the picture, or why there is none.

    Raises:
        DiskError: The picture cannot be written.
    """
    drawing = _drawn(manifest, folder)
    if not drawing.png:
        _remove_leftover(manifest, folder)
        return manifest.model_copy(update={"preview_reason": drawing.reason})
    with disk_errors(folder):
        write_whole(folder / PREVIEW_NAME, drawing.png)
    digest = hashlib.sha256(drawing.png).hexdigest()
    file = ManifestFile(path=PREVIEW_NAME, role="preview", size=len(drawing.png), sha256=digest)
    return manifest.model_copy(update={"files": (*manifest.files, file), "preview_reason": drawing.reason})


def read_preview(path: Path) -> bytes | None:
    """The bytes of a published picture; None if the file is missing, is not a PNG, or exceeds `LARGEST_PICTURE`."""
    try:
        content = read_bounded(path, LARGEST_PICTURE)
    except OSError:
        return None
    return content if content.startswith(PNG_MAGIC) else None


def _drawn(manifest: Manifest, folder: Path) -> Drawing:
    choice = read_settings().preview
    if choice == "off" or missing_packages():
        return Drawing()
    if _has_own(manifest):
        return Drawing(reason=f"the export has a file {PREVIEW_NAME} of its own")
    sources = _sources(manifest, folder)
    size = sum(file.size for file in manifest.files if file.role == "model")
    if choice == "auto" and size > LARGEST_IFC:
        return Drawing(reason=f"the export has more than {LARGEST_IFC} bytes; with ITWIN_PREVIEW=on it is tried")
    kind: Kind = manifest.format
    return draw(kind, sources)


def _remove_leftover(manifest: Manifest, folder: Path) -> None:
    """Remove the picture of an attempt that was interrupted before it published."""
    if not _has_own(manifest):
        (folder / PREVIEW_NAME).unlink(missing_ok=True)


def _has_own(manifest: Manifest) -> bool:
    return any(file.path.casefold() == PREVIEW_NAME for file in manifest.files)


def _sources(manifest: Manifest, folder: Path) -> Sequence[Path]:
    if manifest.format == "mesh":
        return [folder]
    return [folder / file.path for file in manifest.files if file.role == "model"]
