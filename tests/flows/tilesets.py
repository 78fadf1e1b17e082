"""What tests of exported tilesets share: what the platform has, and what has arrived."""

from pathlib import Path

from deployments.sandbox.server import RunningSandbox
from tasks.reports import ExportReport

TILE = r"/sandboxblobs/.*\.glb$"
"""Path of a tile at the platform's storage."""


def tileset_of(report: ExportReport) -> Path:
    """The published folder."""
    (entry,) = report.files
    return Path(report.output_dir, entry.path).parent


def blobs_of(sandbox: RunningSandbox, report: ExportReport) -> dict[str, bytes]:
    """What the platform holds of the exported tileset."""
    return {name: blob.read() for name, blob in sandbox.state.blobs.containers[str(report.run_id)].items()}


def files_in(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, but for the manifest and the content report."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"manifest.json", "content.json"}
    }
