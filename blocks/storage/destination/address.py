"""Addresses of object stores that exports are published to: az://, abfss://, https://ACCOUNT.blob…, s3:// and gs://."""

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote, urlsplit

from blocks.bounds import LONGEST_NAME, MOST_FOLDERS
from blocks.errors import InputError
from blocks.shown_text import is_text, shown

Scheme = Literal["az", "s3", "gs"]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CONTAINER = re.compile(r"[a-z0-9$][a-z0-9._-]{1,62}", re.IGNORECASE)
_ACCOUNT = re.compile(r"([a-z0-9]{3,24})\.(?:blob|dfs)\.(core\.[a-z.]{5,40})", re.IGNORECASE)
_LONGEST_PREFIX = 512
"""In UTF-8 bytes; object stores allow keys of 1,024, and the names of an export come behind it."""
FORMS = "az://CONTAINER/PREFIX, abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX"


@dataclass(frozen=True)
class StoreAddress:
    """A container or bucket and a prefix in it; holds no secret.

    Attributes:
        scheme: Which kind of store.
        container: The Azure container, or the bucket.
        prefix: Without slashes around it; empty for the whole container.
        account_url: `https://ACCOUNT.blob.core.windows.net` if the address named an Azure account, else empty.
    """

    scheme: Scheme
    container: str
    prefix: str
    account_url: str = ""

    @property
    def account(self) -> str:
        """Name of the Azure account; empty if the address has none."""
        return self.account_url.partition("://")[2].partition(".")[0]

    @property
    def parent(self) -> "StoreAddress | None":
        """One level above; None for a whole container."""
        return replace(self, prefix=self.prefix.rpartition("/")[0]) if self.prefix else None

    @property
    def url(self) -> str:
        """The address in its shortest form, without a slash at its end."""
        base = self.account_url or f"{self.scheme}:/"
        return "/".join(part for part in (base, self.container, self.prefix) if part)


def is_store_address(text: str) -> bool:
    """True for what has the form of a URL; everything else is the path of a folder."""
    return _ADDRESS.match(text.strip()) is not None


def parse_address(text: str) -> StoreAddress:
    """Read the address of an object store.

    Raises:
        InputError: It names no store that is supported, or it holds a signature, which belongs into the block.
    """
    try:
        parts = urlsplit(text.strip())
        host, user = parts.hostname or "", parts.username or ""
    except ValueError:
        raise _refused(text, "is not an address") from None
    if parts.query or parts.fragment or parts.password is not None:
        raise InputError(
            "The output address has a query, a fragment or a password. A SAS or key belongs into the block Export "
            "Destination; give the address without it."
        )
    match parts.scheme.lower():
        case "az" | "s3" | "gs" as scheme if not user and parts.port is None:
            return _address(text, scheme, parts.netloc, parts.path)
        case "abfss" if account := _ACCOUNT.fullmatch(host):
            return _address(text, "az", user, parts.path, _account_url(account))
        case "https" if (account := _ACCOUNT.fullmatch(host)) and not user:
            container, _, path = parts.path.lstrip("/").partition("/")
            return _address(text, "az", container, unquote(path), _account_url(account))
        case _:
            raise _refused(text, "is in no form that is supported")


def _address(text: str, scheme: Scheme, container: str, path: str, account_url: str = "") -> StoreAddress:
    prefix = path.strip("/")
    segments = prefix.split("/") if prefix else []
    if not _CONTAINER.fullmatch(container):
        raise _refused(text, "names no valid container or bucket")
    if "" in segments or any(part in {".", ".."} or part != part.strip() for part in segments):
        raise _refused(text, "has an empty part, a dot or a blank at the end of a part of its prefix")
    if not is_text(prefix) or not prefix.isprintable() or "\\" in prefix:
        raise _refused(text, "has characters in its prefix that no key should have")
    if len(prefix.encode()) > _LONGEST_PREFIX or len(segments) > MOST_FOLDERS:
        raise _refused(text, "has a prefix that is too long")
    return StoreAddress(scheme, container, prefix, account_url)


def _account_url(account: "re.Match[str]") -> str:
    return f"https://{account[1].lower()}.blob.{account[2].lower()}"


def _refused(text: str, why: str) -> InputError:
    return InputError(
        f"The output address {shown(text.partition('?')[0], LONGEST_NAME)} {why}. Give a folder, or {FORMS}."
    )
