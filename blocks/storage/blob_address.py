"""Which container and blob an Azure URL names."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from blocks.urls import host_of


@dataclass(frozen=True)
class BlobAddress:
    """Host, container and blob of a URL; without its query, so it may be shown."""

    host: str
    container: str
    blob: str

    @property
    def place(self) -> str:
        """The container, as a sentence calls it."""
        return f"container “{self.container}” on {self.host}"


def parse_blob_address(url: str) -> BlobAddress:
    """Split an Azure URL; `blob` is empty where it names a container only.

    On IP addresses and hosts without a domain (Azurite) the account's name comes first in the path. A path of one name
    is taken for a container: a blob of the account's root container is not told from it.
    """
    host = host_of(url)
    parts = [unquote(part) for part in urlsplit(url).path.lstrip("/").split("/")]
    if _names_account_in_path(host):
        parts = parts[1:]
    return BlobAddress(host, parts[0] if parts else "", "/".join(parts[1:]))


def _names_account_in_path(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True
