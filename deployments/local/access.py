"""Who may use a Prefect server of ours: its password, and the file that holds it for clients."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from blocks.disk import write_whole

USER = "prefect"
_ADDRESS, _PASSWORD = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"


def new_password() -> str:
    """A password nobody can guess, in the form of Prefect's basic authentication."""
    return f"{USER}:{secrets.token_urlsafe(32)}"


@dataclass(frozen=True)
class ClientFile:
    """`client.env`: what clients of the server of `make up` need, for `set -a; . client.env`; mode 0600."""

    path: Path

    def password(self) -> tuple[str, bool]:
        """The password of earlier starts, else a new one; and whether it is new."""
        known = self._read().get(_PASSWORD)
        return (known, False) if known else (new_password(), True)

    def write(self, api_url: str, password: str) -> None:
        """Note where the server is and what it asks for."""
        write_whole(self.path, f"{_ADDRESS}={api_url}\n{_PASSWORD}={password}\n".encode(), private=True)

    def _read(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        lines = self.path.read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}
