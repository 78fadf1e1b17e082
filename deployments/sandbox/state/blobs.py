"""The blobs behind every SAS link: exported files, tiles, and a user's own storage."""

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

from deployments.sandbox.clock import Clock
from deployments.sandbox.content.blob import Blob, Container
from deployments.sandbox.state import sas
from deployments.sandbox.state.identity import IDENTITY

_DELETION = timedelta(seconds=30)
"""How long the name of a deleted container cannot be used again."""


class BlobAccount:
    """One storage account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._deleted: dict[str, datetime] = {}
        self.account = IDENTITY.account
        self.key = IDENTITY.account_key
        self.containers: dict[str, Container] = {}
        self.blocks: dict[tuple[str, str], dict[str, bytes]] = {}

    def create_container(self, container: str) -> bool:
        """Create a container; false when there is one of that name."""
        with self._lock:
            if container in self.containers:
                return False
            self.containers[container] = {}
            return True

    def delete_container(self, container: str) -> bool:
        """Remove a container with its blobs; false when there was none."""
        with self._lock:
            if self.containers.pop(container, None) is None:
                return False
            self._deleted[container] = self._clock.now()
            return True

    def is_being_deleted(self, container: str) -> bool:
        """True for the first half minute after the deletion of a container."""
        deleted = self._deleted.get(container)
        return deleted is not None and self._clock.now() < deleted + _DELETION

    def put(self, container: str, name: str, content: bytes, content_type: str = "application/octet-stream") -> Blob:
        """Store a blob, and create its container if there is none (over HTTP that is an error)."""
        return self.store(container, name, Blob(content, content_type, self._clock.now()))

    def store(self, container: str, name: str, blob: Blob) -> Blob:
        """Store a blob with all its properties."""
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
        self,
        container: str,
        name: str | None = None,
        *,
        permissions: str = "r",
        seconds: float = 3600,
        signed: Mapping[str, str] | None = None,
    ) -> str:
        """Path and SAS of a container or blob; put a base URL before it.

        Further signed parameters (`st`, `spr`, `sip`, `rscd`, `rsct`, …) are taken as they are.
        """
        resource = f"/{self.account}/{container}" + (f"/{name}" if name else "")
        expires = self._clock.now() + timedelta(seconds=seconds)
        return f"{self.path(container, name)}?{sas.mint(self.key, resource, permissions, expires, signed or {})}"

    def connection_string(self, base_url: str) -> str:
        """What azure-storage-blob connects with to use this as a storage account."""
        protocol = base_url.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={protocol};AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={base_url}/{self.account};"
        )
