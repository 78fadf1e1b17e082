"""What is kept beside the published exports, out of readers' sight: unfinished downloads, and notes of runs.

    <output_dir>/
    ├── .itwin-export/                        StateDir.of_batches
    │   └── batches/<flow run>.json           report of a batch or of a shard (tasks.batch.reports)
    └── <iModel>/
        ├── .itwin-export/                    StateDir.of_imodel
        │   ├── runs/<time>-<random>.json     one request for an export run (tasks.ifc.run_records)
        │   ├── followed/<flow run>.json      the export run that a flow run follows; touched every 30 s while it does
        │   ├── <export run>/                 an IFC export being fetched: files, parts and their checkpoints
        │   ├── mesh/                         a tileset being fetched
        │   ├── <name>-<flow run>/            the same, where another process has that folder or nothing can be locked
        │   ├── <name>.lock                   held by the process that fetches into the folder of that name
        │   └── mesh-publish.lock             held while a tileset is swapped into place
        ├── ifc/                              what readers find
        └── mesh/                             what readers find; where this is a link, tilesets are fetched into
                                              .itwin-export/<iModel>/ beside the folder that it leads to

Everything but the lock in use and the notes of the past week goes with `purge`. Nothing in here holds a secret.
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
_NOTES = frozenset({"runs", "followed", "batches"})
"""Folders of notes: each note goes by its own age."""


@dataclass(frozen=True)
class StateDir:
    """One folder of unfinished work and notes, which need not exist yet."""

    root: Path

    @classmethod
    def of_imodel(cls, output_dir: Path, imodel_id: str) -> Self:
        """That of one iModel's exports."""
        return cls(output_dir / imodel_id.strip().lower() / FOLDER)

    @classmethod
    def of_batches(cls, output_dir: Path) -> Self:
        """That of everything exported to a folder."""
        return cls(output_dir / FOLDER)

    @property
    def runs(self) -> Path:
        """Notes of the export runs that were asked for."""
        return self.root / "runs"

    def followed(self, flow_run_id: str) -> Path:
        """The note of the export run that a flow run follows."""
        return self.root / "followed" / f"{flow_run_id}.json"

    def batch(self, flow_run_id: str) -> Path:
        """The report of a flow run that exports an iTwin or a shard of one."""
        return self.root / "batches" / f"{flow_run_id}.json"

    @property
    def publish_lock(self) -> Path:
        """Held while a tileset is swapped into place."""
        return self.root / "mesh-publish.lock"

    @contextmanager
    def staging(self, name: str, owner: str) -> Generator[Path]:
        """A folder to fetch into: always the same, so that an interrupted download resumes; another while it is in use.

        The lock is the operating system's: it goes with the process, however that ends. Where there are no locks, each
        owner has a folder of its own.

        Args:
            name: What is fetched.
            owner: Who fetches it, such as the id of a flow run; part of the other folder's name.
        """
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            purge(self.root)
        shared = self.root / safe_name(name)
        with ExitStack() as stack:
            is_ours = _take_lock(stack, shared.with_suffix(".lock"))
            yield shared if is_ours else shared.with_name(f"{shared.name}-{owner}")


def purge(folder: Path) -> None:
    """Remove what nobody has changed for a week from the folder itself; its folders of notes stay."""
    oldest = time.time() - KEPT_FOR.total_seconds()
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another process may be faster
            if path.name not in _NOTES and path.stat().st_mtime < oldest:
                remove_folder(path) if path.is_dir() else path.unlink()


def _take_lock(stack: ExitStack, path: Path) -> bool:
    """Whether this process has the folder of that name to itself."""
    try:
        return stack.enter_context(file_lock(path, is_waiting=False))
    except Timeout:
        return False
