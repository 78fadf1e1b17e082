"""The access token of a service application, kept on disk for the next command of the same user.

Commands are short and tokens last an hour. The file is readable by its owner only and encrypted with a key that is
derived from the client secret: whoever can read the token could sign in anyway, and with another secret it is not used.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from cryptography.fernet import Fernet, InvalidToken

from blocks.disk import disk_errors, write_whole
from blocks.errors import DiskError
from blocks.itwin.auth.token_endpoint import Identity
from blocks.itwin.auth.token_file import fingerprint
from blocks.settings import revealed
from blocks.shared_folder import read_bounded

LONGEST_FILE = 64 * 1024
_SCRYPT_COST = 2**12


class SavedToken:
    """Saves the latest access token of one service application in a file.

    Args:
        folder: The application's folder, readable by its owner only.
        identity: The service application; its secret opens the file.
        api_url: Root of the API that the token is for.
        now: Seconds since 1970.
    """

    def __init__(self, folder: Path, identity: Identity, api_url: str, *, now: Callable[[], float] = time.time) -> None:
        caller = fingerprint(api_url, *identity.key, identity.scopes)
        self.path = folder / f"access-{caller[:24]}.token"
        self._secret = revealed(identity.client_secret)
        self._salt = caller.encode()
        self._now = now

    def load(self) -> tuple[str, float] | None:
        """The token and for how many seconds it may be used; None if there is none, or none that this secret opens."""
        try:
            content = self._cipher().decrypt(read_bounded(self.path, LONGEST_FILE))
            kept = cast("dict[str, object]", json.loads(content))
            value, saved_at, lifetime = str(kept["token"]), float(str(kept["saved_at"])), float(str(kept["lifetime"]))
        except (OSError, InvalidToken, ValueError, KeyError):
            return None
        age = self._now() - saved_at
        return (value, lifetime - age) if 0 <= age < lifetime else None

    def keep(self, token: str, lifetime: float) -> None:
        """Keep a token that may be used for so many seconds; where nothing can be written, it is not kept."""
        content = json.dumps({"token": token, "saved_at": self._now(), "lifetime": lifetime}).encode()
        with suppress(DiskError), disk_errors(self.path.parent):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.path, self._cipher().encrypt(content), private=True)

    def _cipher(self) -> Fernet:
        key = hashlib.scrypt(self._secret.encode(), salt=self._salt, n=_SCRYPT_COST, r=8, p=1, dklen=32)
        return Fernet(base64.urlsafe_b64encode(key))
