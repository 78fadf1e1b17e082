"""Where the common tileset of an iTwin is, and the tilesets it refers to: the same steps in a folder and in a store."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import Timeout

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.disk import disk_errors, write_whole
from blocks.errors import ContentError
from blocks.file_lock import file_lock
from blocks.foreign_data import Json
from blocks.shared_folder import read_bounded
from blocks.storage.destination.object_store import Condition
from blocks.storage.manifest import read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.rejected import read_rejected
from blocks.storage.site.member_tileset import (
    FOLDER,
    LeftOutError,
    PublishedTileset,
    export_again,
    parsed_tileset,
    require_published,
)
from blocks.storage.site.site_file import SiteFile, not_ours_error, read_site, written_site
from blocks.storage.tileset.references import ROOT

REPLACING_SECONDS = 10.0
"""Longest wait for an iModel whose tileset is being replaced; then it is left out."""
BEING_REPLACED = "Its tileset is being replaced. Run the same again when that is done."
_PAUSE = 0.1


@dataclass(frozen=True)
class SeenSite:
    """The common tileset as it was read (None if there is none), and the condition under which it may be replaced."""

    file: SiteFile | None
    condition: Condition = None


class PublishedSite(Protocol):
    """Reads and writes the common tileset of one iTwin, whether it exists yet or not."""

    @property
    def output(self) -> str:
        """The output folder or address that holds it, as messages name it."""
        ...

    def see(self) -> SeenSite:
        """The common tileset that is there.

        Raises:
            InputError: A tileset lies there that this tool has not made.
        """
        ...

    def read_tileset(self, imodel_id: str) -> PublishedTileset:
        """Read what readers of the tileset of an iModel find, and check that its files are there.

        Raises:
            LeftOutError: There is none, it is not what was exported, or it is being replaced.
        """
        ...

    def is_replaced(self, imodel_id: str, tileset: PublishedTileset) -> bool:
        """True if another tileset than this one, or none, is in its place."""
        ...

    def write(self, document: Json, seen: SeenSite) -> None:
        """Replace the common tileset atomically: readers get either the old one or the new one, complete.

        Raises:
            ChangedMeanwhileError: Another process has written it since it was seen.
            InputError: A tileset lies there that this tool has not made.
        """
        ...

    def remove(self, seen: SeenSite) -> None:
        """Delete the common tileset, if there is one.

        Raises:
            ChangedMeanwhileError: Another process has written it since it was seen.
            InputError: A tileset lies there that this tool has not made.
        """
        ...


@dataclass(frozen=True)
class FolderSite:
    """A common tileset in a folder.

    Attributes:
        output_dir: Folder of the exports.
        itwin_id: Names the folder of the common tileset.
        lock_of: The lock that publishers of the tileset of an iModel hold.
        replacing_seconds: Longest wait for it.
    """

    output_dir: Path
    itwin_id: str
    lock_of: Callable[[str], Path]
    replacing_seconds: float = REPLACING_SECONDS

    @property
    def output(self) -> str:
        """The output folder."""
        return str(self.output_dir)

    @property
    def _folder(self) -> Path:
        return self.output_dir / self.itwin_id

    def see(self) -> SeenSite:
        """The common tileset that is there.

        Raises:
            InputError: A tileset lies there that this tool has not made.
        """
        found = read_site(self._folder)
        if found is None and (self._folder / ROOT).exists():
            raise not_ours_error(str(self._folder / ROOT))
        return SeenSite(found)

    def read_tileset(self, imodel_id: str) -> PublishedTileset:
        """Read a tileset under the lock of its publishers, so that it is not replaced meanwhile.

        Raises:
            LeftOutError: There is none, it is not what was exported, or it is being replaced.
            DiskError: The folder cannot be read.
        """
        folder = self.output_dir / imodel_id / FOLDER
        with self._not_replacing(self.lock_of(imodel_id)), disk_errors(folder):
            manifest = require_published(read_manifest(folder), imodel_id, is_rejected=bool(read_rejected(folder)))
            try:
                state = _state_of(folder)
                verify_published(folder, manifest)
                content = read_bounded(folder / ROOT, LONGEST_TILESET_JSON)
            except OSError:
                raise LeftOutError(f"Its tiles have no {ROOT} that can be read. {export_again(imodel_id)}") from None
            except ContentError as error:
                raise LeftOutError(str(error)) from None
        return PublishedTileset(manifest, parsed_tileset(content, imodel_id), state)

    def is_replaced(self, imodel_id: str, tileset: PublishedTileset) -> bool:
        """True if another tileset than this one, or none, is in its place."""
        with suppress(OSError):
            return _state_of(self.output_dir / imodel_id / FOLDER) != tileset.state
        return True

    def write(self, document: Json, seen: SeenSite) -> None:  # noqa: ARG002  of stores
        """Replace the common tileset atomically: readers get either the old one or the new one, complete.

        Raises:
            InputError: A tileset lies there that this tool has not made.
            DiskError: The disk refuses.
        """
        self.see()
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / ROOT, written_site(document))

    def remove(self, seen: SeenSite) -> None:  # noqa: ARG002  of stores
        """Delete the common tileset, if there is one.

        Raises:
            InputError: A tileset lies there that this tool has not made.
            DiskError: The disk refuses.
        """
        if self.see().file:
            with disk_errors(self._folder):
                (self._folder / ROOT).unlink(missing_ok=True)

    @contextmanager
    def _not_replacing(self, lock: Path) -> Generator[None]:
        if not lock.parent.is_dir():  # nobody has published from here
            yield
            return
        deadline = time.monotonic() + self.replacing_seconds
        while True:
            try:
                with file_lock(lock, is_waiting=False):
                    yield
                    return
            except Timeout:
                if time.monotonic() > deadline:
                    raise LeftOutError(BEING_REPLACED) from None
            time.sleep(_PAUSE)


def _state_of(folder: Path) -> tuple[int, int]:
    state = (folder / ROOT).stat()
    return state.st_ino, state.st_mtime_ns
