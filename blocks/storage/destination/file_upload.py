"""A large file on its way into an object store while it is being downloaded.

Its parts are uploaded as they come, and the object appears when it is committed. What is abandoned leaves nothing: the
client removes the parts from S3 and Google Cloud, and blocks that were not committed vanish from Azure by themselves.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

from blocks.errors import ExportError
from blocks.storage.destination.object_store import ObjectStore, Version
from blocks.storage.destination.web_headers import headers_of

LEAST_SIZE = 16 * 1024 * 1024
"""Smaller files are uploaded by one request when they are complete."""
_PIECE = 1024 * 1024
_END_SECONDS = 10.0


class _AbandonedError(Exception):
    """The upload shall end without an object."""


class FileUploads:
    """Uploads of the files of one export.

    Args:
        store: Where they go.
        key_of: The key of a file by its name.
    """

    def __init__(self, store: ObjectStore, key_of: Callable[[str], str]) -> None:
        self._store = store
        self._key_of = key_of
        self._uploads: dict[Path, _FileUpload] = {}

    def advance(self, target: Path, part: Path, until: int, size: int) -> None:
        """So many bytes of a file are there and will not change."""
        if size < LEAST_SIZE:
            return
        if target not in self._uploads:
            self._uploads[target] = _FileUpload(self._store, self._key_of(target.name), target, part)
        self._uploads[target].advance(until)

    def restart(self, target: Path) -> None:
        """Abandon the upload of a file: another download of it begins."""
        if upload := self._uploads.pop(target, None):
            upload.abandon()

    def commit(self, path: Path) -> Version | None:
        """Have the object of a file appear; None if it has to be uploaded, for nothing or not all of it arrived."""
        upload = self._uploads.pop(path, None)
        return upload.commit(path.stat().st_size) if upload else None

    def close(self) -> None:
        """Abandon what was not committed, and wait a moment for its parts to be removed."""
        uploads, self._uploads = self._uploads, {}
        for upload in uploads.values():
            upload.abandon()
        for upload in uploads.values():
            upload.wait()


class _FileUpload:
    """One file, uploaded by a thread of its own; at most a few parts are in memory."""

    def __init__(self, store: ObjectStore, key: str, target: Path, part: Path) -> None:
        self._target, self._part = target, part
        self._changed = threading.Condition()
        self._until, self._is_committed, self._is_abandoned = 0, False, False
        self._result: Future[Version] = Future()
        self._thread = threading.Thread(target=self._run, args=(store, key), name="early-upload", daemon=True)
        self._thread.start()

    def advance(self, until: int) -> None:
        with self._changed:
            self._until = until
            self._changed.notify()

    def commit(self, size: int) -> Version | None:
        """The version of the object; None if not so many bytes were there, or the store refused some."""
        with self._changed:
            is_whole = self._until == size
            self._is_committed, self._is_abandoned = is_whole, not is_whole
            self._changed.notify()
        try:
            return self._result.result()
        except (ExportError, _AbandonedError):
            return None

    def abandon(self) -> None:
        with self._changed:
            self._is_abandoned = True
            self._changed.notify()

    def wait(self) -> None:
        self._thread.join(_END_SECONDS)

    def _run(self, store: ObjectStore, key: str) -> None:
        try:
            self._result.set_result(store.upload_pieces(key, self._pieces(), headers_of(key)))
        except (ExportError, _AbandonedError) as error:
            self._result.set_exception(error)

    def _pieces(self) -> Iterator[bytes]:
        """The file in order, as far as it is there; ends when it is committed.

        Raises:
            _AbandonedError: It is abandoned.
        """
        offset = 0
        while True:
            until = self._await_more(offset)
            if offset == until:
                return
            for piece in self._read(offset, until):
                offset += len(piece)
                yield piece

    def _await_more(self, offset: int) -> int:
        """How many bytes are there, once they are more than that, or once the file is committed.

        Raises:
            _AbandonedError: It is abandoned.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._until > offset or self._is_committed or self._is_abandoned)
            if self._is_abandoned:
                raise _AbandonedError
            return self._until

    def _read(self, offset: int, until: int) -> Iterator[bytes]:
        """The file is opened for each step, for it is renamed when it is complete."""
        try:
            file = self._part.open("rb")
        except FileNotFoundError:
            file = self._target.open("rb")
        with file:
            file.seek(offset)
            while offset < until and (piece := file.read(min(_PIECE, until - offset))):
                offset += len(piece)
                yield piece
