"""Folders for unfinished downloads and run records, beside the published exports.

    <output_dir>/
    ├── .itwin-export/                        StateDir.of_batches
    │   └── batches/<flow run>.json           report of a batch or of a shard (tasks.batch.reports)
    └── <iModel>/
        ├── .itwin-export/                    StateDir.of_imodel
        │   ├── runs/<time>-<random>.json     one request for an export run (tasks.ifc.run_records)
        │   ├── followed/<flow run>.json      the export run that a flow run follows; touched every 30 s while it does
        │   ├── <export run>/                 an IFC export being downloaded: files, parts, checkpoints
        │   ├── mesh/                         a tileset being downloaded
        │   ├── <name>-<flow run>/            the same, if another process uses that folder or locks are absent
        │   ├── <name>.lock                   held by the process that downloads into the folder of that name
        │   └── mesh-publish.lock             held while a tileset replaces the one before
        ├── ifc/                              the published IFC files
        └── mesh/                             the published tileset; if this is a link, tilesets are downloaded into
                                              .itwin-export/<iModel>/ beside the target of the link

`purge` removes everything that has not changed for a week, except locks in use. No file in here contains a secret.
"""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from filelock import Timeout

from blocks.disk import disk_errors, remove_folder
from blocks.file_lock import file_lock
from blocks.storage.file_names import safe_name

KEPT_FOR = timedelta(days=7)
FOLDER = ".itwin-export"
_RECORD_FOLDERS = frozenset({"runs", "followed", "batches"})
"""Folders of records: each record is removed by its own age."""


@dataclass(frozen=True)
class StateDir:
    """One folder of unfinished downloads and records; it is created when it is first written to."""

    root: Path

    @classmethod
    def of_imodel(cls, output_dir: Path, imodel_id: str) -> Self:
        """The state folder of one iModel."""
        return cls(output_dir / imodel_id.strip().lower() / FOLDER)

    @classmethod
    def of_batches(cls, output_dir: Path) -> Self:
        """The state folder of all batches that export to a folder."""
        return cls(output_dir / FOLDER)

    @property
    def runs(self) -> Path:
        """Folder of the records of requested export runs."""
        return self.root / "runs"

    def followed(self, flow_run_id: str) -> Path:
        """The file that records which export run a flow run waits for."""
        return self.root / "followed" / f"{flow_run_id}.json"

    def batch(self, flow_run_id: str) -> Path:
        """The file with the report of a flow run that exports an iTwin or a shard of it."""
        return self.root / "batches" / f"{flow_run_id}.json"

    @property
    def publish_lock(self) -> Path:
        """The lock file held while a tileset is published."""
        return self.root / "mesh-publish.lock"

    @contextmanager
    def staging(self, name: str, owner: str) -> Generator[Path]:
        """A folder to download into: the same each time, so that an interrupted download resumes.

        While another process uses that folder, or if the file system has no locks, the folder is one of the owner's
        own. The operating system releases the lock when the process ends.

        Args:
            name: What is downloaded: an export run id, or `mesh`.
            owner: Id of the flow run; part of the name of its own folder.

        Raises:
            DiskError: The folder cannot be created.
        """
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            purge(self.root)
        shared = self.root / safe_name(name)
        with ExitStack() as stack:
            is_ours = _take_lock(stack, shared.with_suffix(".lock"))
            yield shared if is_ours else shared.with_name(f"{shared.name}-{owner}")


def purge(folder: Path) -> None:
    """Remove files and folders that have not changed for a week; folders of records stay."""
    oldest = time.time() - KEPT_FOR.total_seconds()
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another process may have removed it
            if path.name not in _RECORD_FOLDERS and path.stat().st_mtime < oldest:
                remove_folder(path) if path.is_dir() else path.unlink()


def _take_lock(stack: ExitStack, path: Path) -> bool:
    """True if this process got the lock."""
    try:
        return stack.enter_context(file_lock(path, is_waiting=False))
    except Timeout:
        return False
