"""Parser for the container and blob name of an Azure URL."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from blocks.signed_url import SignedUrl


@dataclass(frozen=True)
class BlobAddress:
    """Host, container and blob of a URL; without its query, so it can appear in messages."""

    host: str
    container: str
    blob: str

    @property
    def place(self) -> str:
        """The container and its host, for messages."""
        return f"container “{self.container}” on {self.host}"


def parse_blob_address(url: SignedUrl) -> BlobAddress:
    """Parse an Azure URL; `blob` is empty if it names a container only.

    On IP addresses and hosts without a domain (Azurite) the path starts with the account name. A path with one segment
    is read as a container: a blob of the account's root container looks the same.
    """
    host = url.host
    parts = [unquote(part) for part in urlsplit(url.unsigned).path.lstrip("/").split("/")]
    if _names_account_in_path(host):
        parts = parts[1:]
    return BlobAddress(host, parts[0] if parts else "", "/".join(parts[1:]))


def _names_account_in_path(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True
