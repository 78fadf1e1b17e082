"""Rotated refresh tokens in a private file, protected by a file lock.

The file holds replacements of tokens whose own store (an environment variable, or a block while the Prefect server is
unreachable) could not be updated. It is readable by its owner only (mode 0600; on Windows the access control list of
the user's profile applies). The operating system releases the lock when the process ends for any reason.
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
KEPT = 8  # sign-ins per client and machine


class TokenFile:
    """The newest replacements of refresh tokens, by the hash of the token they replace.

    Args:
        folder: The application's folder, readable by its owner only.
        owner: Identifies the owner of the tokens; hashed into the file's name.
    """

    def __init__(self, folder: Path, *owner: str) -> None:
        self.path = folder / f"refresh-{fingerprint(*owner)[:24]}.json"

    def successor_of(self, token: str) -> str | None:
        """The newest replacement of a token; None if there is none."""
        return self._read().get(fingerprint(token))

    def keep(self, token: str, newest: str) -> None:
        """Store the newest replacement of a token and of all its predecessors, atomically.

        Raises:
            DiskError: The file cannot be written; its previous content is unchanged.
        """
        before = self._read()
        before.pop(fingerprint(token), None)
        others = {root: newest if known == token else known for root, known in before.items()}
        entries = dict([*others.items(), (fingerprint(token), newest)][-KEPT:])
        with disk_errors(self.path.parent):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(entries).encode(), private=True)

    def forget(self) -> None:
        """Remove the file, once the newest token is in its own store."""
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
    """The refresh token of the environment and, after its rotation, its replacement in a private file.

    A new token in the environment takes precedence: the file stores which token each entry replaces.

    Args:
        token: The refresh token from the environment.
        file: Stores the replacements.
        say: Called once with a message that names the file.
    """

    sign_in = "Sign in again: itwin-export login, then set ITWIN_REFRESH_TOKEN anew."

    def __init__(self, token: SecretStr, file: TokenFile, say: Callable[[str], None]) -> None:
        self._token = token
        self._file = file
        self._say: Callable[[str], None] | None = say

    @asynccontextmanager
    async def exclusively(self) -> AsyncGenerator[None]:
        """Prevent other processes on this machine from using the token until the context ends.

        Raises:
            TransientError: Another process has had the lock for 120 seconds.
            DiskError: The folder or the lock file cannot be created.
        """
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
        """The newest refresh token."""
        first = self._token.get_secret_value()
        return self._file.successor_of(first) or first

    async def replace(self, used: str, new: str) -> None:  # noqa: ARG002  the file is keyed by the environment's token
        """Store the replacement `new`.

        Raises:
            DiskError: The file cannot be written.
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
    """A SHA-256 (hex digits) that identifies tokens and owners without revealing them."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
