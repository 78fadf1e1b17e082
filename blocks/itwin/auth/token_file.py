"""A refresh token that came back and cannot (yet) go where it belongs: kept in a private file, guarded by a file lock.

The file is readable by its owner only (mode 0600; on Windows, the access list of the user's profile sees to that). The
lock belongs to the process: the operating system drops it when the process ends, however it ends.
"""

import hashlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from filelock import AsyncFileLock, Timeout
from pydantic import SecretStr

from blocks.disk import disk_errors, write_whole
from blocks.errors import TransientError
from blocks.file_lock import note_no_locks

LOCK_SECONDS = 120.0
KEPT = 8  # sign-ins of one client on one machine


class TokenFile:
    """The newest descendants of refresh tokens: which token each replaces is known by a hash.

    Args:
        folder: A folder of ours, readable by its owner only.
        owner: Whose tokens these are; part of the file's name, as a hash.
    """

    def __init__(self, folder: Path, *owner: str) -> None:
        self.path = folder / f"refresh-{fingerprint(*owner)[:24]}.json"

    def successor_of(self, token: str) -> str | None:
        """The newest token that descends from this one; none if none is known."""
        return self._read().get(fingerprint(token))

    def keep(self, token: str, newest: str) -> None:
        """Keep the newest descendant of a token and of all that led to it; a reader finds the old file or the new one.

        Raises:
            DiskError: The disk refuses it; what was there before is still there.
        """
        before = self._read()
        before.pop(fingerprint(token), None)
        others = {root: newest if known == token else known for root, known in before.items()}
        entries = dict([*others.items(), (fingerprint(token), newest)][-KEPT:])
        with disk_errors(self.path.parent):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(entries).encode(), private=True)

    def forget(self) -> None:
        """Remove the file, as soon as the tokens are where they belong."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, str]:
        try:
            entries: object = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {str(root): str(token) for root, token in cast("dict[object, object]", entries).items()}


class EnvironmentTokens:
    """The refresh token of the environment and, once the platform replaced it, its successor in a private file.

    A token newly set in the environment wins: the file knows which token each entry descends from.

    Args:
        token: What the environment says.
        file: Where successors are kept.
        say: Told once where that is.
    """

    sign_in = "Sign in again: itwin-export login, then set ITWIN_REFRESH_TOKEN anew."

    def __init__(self, token: SecretStr, file: TokenFile, say: Callable[[str], None]) -> None:
        self._token = token
        self._file = file
        self._say: Callable[[str], None] | None = say

    @asynccontextmanager
    async def exclusively(self) -> AsyncGenerator[None]:
        """Keep other processes on this machine from spending the token meanwhile."""
        lock = AsyncFileLock(
            self._file.path.with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600, fallback_to_soft=False
        )
        with disk_errors(self._file.path.parent):
            self._file.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                await lock.acquire()
            except Timeout:
                raise TransientError("Another process has been signing in for minutes. Try again later.") from None
            except OSError as error:
                note_no_locks(lock, error)
        try:
            yield
        finally:
            await lock.release()

    async def load(self) -> str:
        """The newest one."""
        first = self._token.get_secret_value()
        return self._file.successor_of(first) or first

    async def replace(self, used: str, new: str) -> None:  # noqa: ARG002  the file knows the environment's token only
        """Keep the new one.

        Raises:
            DiskError: It cannot be kept.
        """
        self._file.keep(self._token.get_secret_value(), new)
        if self._say is not None:
            self._say(
                f"The platform replaces the refresh token with every use, and the environment cannot be changed from "
                f"here: the newest one is kept in {self._file.path} (only you can read it) as long as "
                f"ITWIN_REFRESH_TOKEN stays the same. To share a sign-in between machines, keep it in a block: "
                f"itwin-export login --block NAME"
            )
            self._say = None


def fingerprint(*parts: str) -> str:
    """A hash that tells tokens and owners apart and says nothing else about them."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
