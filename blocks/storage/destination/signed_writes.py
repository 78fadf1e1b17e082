"""Links with which an object of a store can be written by whoever has them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import obstore
from obstore.store import ObjectStore as Client

from blocks.signed_url import SignedUrl

_UNTYPED: Any = obstore


def write_links(client: Client, keys: Sequence[str], life: timedelta) -> dict[str, SignedUrl]:
    """Links by key to write objects for so long; with a SAS of the user, for as long as that lasts.

    Keys with characters that a URL has to encode have none: obstore signs their encoded form, which Azure refuses.
    """
    config: Mapping[str, str] = getattr(client, "config", {})
    if sas := config.get("sas_key"):  # nothing can be signed with it, but it is a signature itself
        base = _url_of(client, config)
        return {key: SignedUrl(f"{base}/{quote(key)}?{sas}") for key in keys}
    prefix = _prefix_of(client)
    plain = [key for key in keys if quote(prefix + key) == prefix + key]
    links: Sequence[str] = _UNTYPED.sign(client, "PUT", plain, life) if plain else []
    return dict(zip(plain, map(SignedUrl, links), strict=True))


def _url_of(client: Client, config: Mapping[str, str]) -> str:
    """Of the prefix of an Azure container."""
    endpoint = config.get("endpoint") or f"https://{config.get('account_name', '')}.blob.core.windows.net"
    parts = (endpoint.rstrip("/"), config["container_name"], quote(_prefix_of(client)))
    return "/".join(part for part in parts if part)


def _prefix_of(client: Client) -> str:
    return str(getattr(client, "prefix", None) or "")
