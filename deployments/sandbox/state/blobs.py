"""The blobs behind every SAS link: exported files, tiles, and a user's own storage."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

from deployments.sandbox.clock import Clock
from deployments.sandbox.content.blob import Blob, Container
from deployments.sandbox.state import sas
from deployments.sandbox.state.identity import IDENTITY


class BlobAccount:
    """One storage account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.account = IDENTITY.account
        self.key = IDENTITY.account_key
        self.containers: dict[str, Container] = {}
        self.blocks: dict[tuple[str, str], dict[str, bytes]] = {}

    def put(self, container: str, name: str, content: bytes, content_type: str = "application/octet-stream") -> Blob:
        """Store a blob; containers come into being by themselves."""
        blob = Blob(content, content_type, self._clock.now())
        with self._lock:
            self.containers.setdefault(container, {})[name] = blob
        return blob

    def get(self, container: str, name: str) -> Blob | None:
        """The blob, if there is one."""
        return self.containers.get(container, {}).get(name)

    def delete(self, container: str, name: str) -> bool:
        """Remove a blob; false when there was none."""
        with self._lock:
            return self.containers.get(container, {}).pop(name, None) is not None

    def names(self, container: str, prefix: str = "", after: str = "") -> Iterator[str]:
        """The names of a container in order."""
        names = sorted(self.containers.get(container, {}))
        return (name for name in names if name.startswith(prefix) and name > after)

    def path(self, container: str, name: str | None = None) -> str:
        """The URL path of a container or blob."""
        tail = f"/{quote(name)}" if name else ""
        return f"/{self.account}/{container}{tail}"

    def signed_path(
        self, container: str, name: str | None = None, *, permissions: str = "r", seconds: float = 3600
    ) -> str:
        """Path and SAS of a container or blob; put a base URL before it."""
        resource = f"/{self.account}/{container}" + (f"/{name}" if name else "")
        expires = self._clock.now() + timedelta(seconds=seconds)
        return f"{self.path(container, name)}?{sas.mint(self.key, resource, permissions, expires)}"

    def connection_string(self, base_url: str) -> str:
        """What azure-storage-blob takes to use the room as a storage account."""
        protocol = base_url.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={protocol};AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={base_url}/{self.account};"
        )
