"""Exports to publish again and again, as a night does it, for both formats."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from blocks.disk import remove_folder
from blocks.storage.acceptance.checks import Verdict
from blocks.storage.destination.new_verdict import replace_verdict
from blocks.storage.destination.published_export import FolderExport
from blocks.storage.history import KeptExport, keep_linked, link_unchanged, prune, read_history
from blocks.storage.manifest import Manifest, ManifestFile, Role, VersionFacts, read_manifest
from blocks.storage.publish import publish_files, verify_published
from blocks.storage.rejected import put_aside
from blocks.storage.tileset.publish import publish_tileset

FIRST_NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)
Format = Literal["ifc", "mesh"]


@dataclass(frozen=True)
class Publisher:
    """Publishes exports of one iModel into a folder.

    Every night one file changes, and another stays as it is.
    """

    root: Path
    export_format: Format

    @property
    def folder(self) -> Path:
        """The published folder."""
        return self.root / self.export_format

    def publish(self, night: int, *, keep: int, version: str | None = None, attempt: int = 0) -> Manifest:
        """Publish the export of a night, as the tasks do; `attempt` makes another export of the same changeset."""
        staging, contents = self._stage(night)
        again = {"created_at": FIRST_NIGHT + timedelta(days=night - 1, minutes=attempt)}
        manifest = self._manifest(night, contents, version).model_copy(update=again)
        if self.export_format == "mesh":
            return publish_tileset(staging, self.folder, manifest, keep=keep)
        staged = [staging / name for name in contents]
        if keep:
            keep_linked(self.folder)
            link_unchanged(staged, self.folder)
        published = publish_files(staged, self.folder, manifest)
        if keep:
            prune(self.folder, keep)
        return published

    def reject(self, night: int) -> None:
        """Put the export of a night aside, as the tasks do with one that is not accepted."""
        staging, contents = self._stage(night)
        dated = {"created_at": FIRST_NIGHT + timedelta(days=night - 1), "verdict": "rejected"}
        put_aside(staging, self.folder, self._manifest(night, contents, None).model_copy(update=dated))
        remove_folder(staging)

    def check(self, verdict: Verdict) -> None:
        """Note a verdict on the published export with a report on IDS documents, as a new check does."""
        before = read_manifest(self.folder)
        assert before is not None
        judged = before.model_copy(update={"verdict": verdict})
        kept, reports = KeptExport(self.folder, before), {"acceptance.html": verdict.encode()}
        replace_verdict(FolderExport(self.folder), kept, self.root / ".itwin-export", judged, reports)

    def _stage(self, night: int) -> tuple[Path, dict[str, bytes]]:
        staging = self.root / ".itwin-export" / self.export_format
        contents = {"model.ifc": f"night {night}".encode() * 100, "same.log": b"unchanged" * 1000}
        staging.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (staging / name).unlink(missing_ok=True)
            before = self.folder / name
            if self.export_format == "mesh" and before.is_file() and before.read_bytes() == content:
                (staging / name).hardlink_to(before)  # as the download of a tileset does
            else:
                (staging / name).write_bytes(content)
        return staging, contents

    def runs(self) -> dict[str, str]:
        """The exports that are there and whole: run by label, the current one under an empty label."""
        current = read_manifest(self.folder)
        found = [(self.folder, current)] if current else []
        found += [(export.folder, export.manifest) for export in read_history(self.folder)]
        runs: dict[str, str] = {}
        for folder, manifest in found:
            verify_published(folder, manifest, full=True)
            runs["" if folder == self.folder else folder.name] = str(manifest.run_id)
        return runs

    def _manifest(self, night: int, contents: dict[str, bytes], version: str | None) -> Manifest:
        role: Callable[[str], Role] = {"ifc": _role_of_file, "mesh": _role_of_tile}[self.export_format]
        files = tuple(
            ManifestFile(path=name, role=role(name), size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in contents.items()
        )
        return Manifest(
            api_url="https://api.example",
            imodel_id="imodel",
            changeset_id=f"{night:040}",
            changeset_index=night,
            named_version=VersionFacts(id=f"version {night}", name=version) if version else None,
            format=self.export_format,
            tool_version="0",
            run_id=f"run {night}",
            files=files,
            created_at=FIRST_NIGHT,
        )


def _role_of_file(name: str) -> Role:
    return "log" if name.endswith(".log") else "model"


def _role_of_tile(_name: str) -> Role:
    return "tile"
