"""Folders for unfinished downloads and run records, beside the published exports.

    <output_dir>/
    ├── .itwin-export/                        StateDir.of_batches
    │   ├── batches/<flow run>.json           report of a batch or of a shard (tasks.batch.reports)
    │   ├── batches/<flow run>.begun.json     the iModels that it exports, noted before the first export
    │   └── events/<event>.json               events that the Prefect server does not have yet (tasks.events.outbox)
    └── <iModel>/
        ├── .itwin-export/                    StateDir.of_imodel
        │   ├── runs/<time>-<random>.json     one request for an export run (tasks.ifc.run_records)
        │   ├── followed/<flow run>.json      the export run that a flow run follows; touched every 30 s while it does
        │   ├── <export run>/                 an IFC export being downloaded: files, parts, checkpoints
        │   ├── mesh/, mesh.journal           a tileset being downloaded, and which of its files are finished
        │   ├── accepted/                     an export that goes from rejected/ to its place
        │   ├── <name>-<flow run>/            the same, if another process uses that folder or locks are absent
        │   ├── <name>.lock                   held by the process that downloads into the folder of that name
        │   ├── <format>-publication.json     who published last, and whether that was announced (tasks.events)
        │   └── <format>-publish.lock         held while an export replaces the one before
        ├── ifc/                              the published IFC files; earlier ones below history/, those that
        │                                     acceptance rules rejected below rejected/
        └── mesh/                             the same of tilesets; if this is a link, tilesets are downloaded into
                                              .itwin-export/<iModel>/ beside the target of the link

`purge` removes everything that has not changed for a week, except locks in use, whenever a state folder is prepared
for the next export. No file in here contains a secret. Kept elsewhere: refresh tokens (`blocks.itwin.auth.token_file`),
the inbox of webhooks (`deployments.webhooks.inbox`), and what `make up` starts, in a folder of the same name in the
clone (`deployments.local`).
"""

import re
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self, TypeVar

from filelock import Timeout
from pydantic import BaseModel, ValidationError

from blocks.disk import disk_errors, remove_folder
from blocks.errors import DiskError
from blocks.file_lock import file_lock
from blocks.shared_folder import read_bounded, remove_links
from blocks.storage.file_names import safe_name

Record = TypeVar("Record", bound=BaseModel)
KEPT_FOR = timedelta(days=7)
FOLDER = ".itwin-export"
_RECORD_FOLDERS = frozenset({"runs", "followed", "batches", "events"})
"""Folders of records: each record is removed by its own age."""
LONGEST_RECORD = 16 * 1024 * 1024
"""Maximum size of a record in bytes."""
_ID = re.compile(r"[^\s<>\[\]()`|*\"']{1,500}")


@dataclass(frozen=True)
class StateDir:
    """One folder of unfinished downloads and records; it is created when it is first written to."""

    root: Path

    @classmethod
    def of_imodel(cls, output_dir: Path, imodel_id: str) -> Self:
        """The state folder of one iModel."""
        return cls(output_dir / imodel_id.strip().lower() / FOLDER)

    @classmethod
    def all_in(cls, output_dir: Path) -> list[Self]:
        """The state folders of every iModel that was exported to a folder."""
        return [cls(folder) for folder in sorted(output_dir.glob(f"*/{FOLDER}"))]

    @classmethod
    def of_batches(cls, output_dir: Path) -> Self:
        """The state folder of all exports to a folder together."""
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

    def begun_batch(self, flow_run_id: str) -> Path:
        """The file that records what such a flow run began to export."""
        return self.root / "batches" / f"{flow_run_id}.begun.json"

    @property
    def events(self) -> Path:
        """Folder of the events that are not delivered yet."""
        return self.root / "events"

    def publication(self, export_format: str) -> Path:
        """The file that notes which flow run published last in that format."""
        return self.root / f"{export_format}-publication.json"

    def publish_lock(self, export_format: str) -> Path:
        """The lock file held while an export of that format is published."""
        return self.root / f"{export_format}-publish.lock"

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
        prepare(self.root)
        shared = self.root / safe_name(name)
        with ExitStack() as stack:
            is_ours = _take_lock(stack, shared.with_suffix(".lock"))
            folder = shared if is_ours else shared.with_name(f"{shared.name}-{owner}")
            with disk_errors(folder):
                remove_links(folder)
            yield folder


def prepare(folder: Path) -> None:
    """Create a folder of the state folder and delete what is out of date in it.

    Raises:
        DiskError: It cannot be created, or it is a symbolic link: files must not be deleted in a folder of others.
    """
    with disk_errors(folder):
        if link := _link_to(folder):
            raise DiskError(
                f"{link} is a symbolic link. Unfinished exports are kept and deleted there, so it must be a folder of "
                f"its own: delete the link, then run the same again."
            )
        folder.mkdir(parents=True, exist_ok=True)
        purge(folder)


def purge(folder: Path) -> None:
    """Remove symbolic links, and files and folders that have not changed for a week; folders of records stay."""
    oldest = time.time() - KEPT_FOR.total_seconds()
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another process may have removed it
            is_link = path.is_symlink()
            if path.name not in _RECORD_FOLDERS and (is_link or path.lstat().st_mtime < oldest):
                remove_folder(path) if path.is_dir() and not is_link else path.unlink()


def read_record(path: Path, model: type[Record], limit: int = LONGEST_RECORD) -> Record | None:
    """A record, which other users may have written.

    None if it is missing, invalid, longer than `limit` in bytes, no regular file, or behind a symbolic link.
    """
    try:
        return None if _link_to(path.parent) else model.model_validate_json(read_bounded(path, limit))
    except (OSError, ValidationError):
        return None


def is_id(text: str) -> bool:
    """True for what may be an id of the platform; false for text that would change a message it stands in."""
    return _ID.fullmatch(text) is not None and text.isprintable()


def _link_to(folder: Path) -> Path | None:
    """The symbolic link that a folder of the state folder is or lies in; the folders above may be links."""
    above = range(folder.parts.index(FOLDER), len(folder.parts)) if FOLDER in folder.parts else [len(folder.parts) - 1]
    parts = [Path(*folder.parts[: end + 1]) for end in above]
    return next((part for part in parts if part.is_symlink()), None)


def _take_lock(stack: ExitStack, path: Path) -> bool:
    """True if this process got the lock."""
    try:
        return stack.enter_context(file_lock(path, is_waiting=False))
    except Timeout:
        return False
