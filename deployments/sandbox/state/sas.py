"""Shared access signatures of the blob room, in the blob service's own form.

A signature made by azure-storage-blob with the sandbox's account key is accepted, and the other way round.
https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

VERSION = "2024-11-04"
_BEFORE_RESOURCE = ("sp", "st", "se")
_AFTER_RESOURCE = (
    "si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct",
)  # fmt: skip


def sign(key: str, resource: str, query: Mapping[str, str]) -> str:
    """The signature over these SAS parameters; a resource is `/account/container[/blob]`."""
    fields = [query.get(name, "") for name in _BEFORE_RESOURCE]
    fields.append(f"/blob{resource}")
    fields += [query.get(name, "") for name in _AFTER_RESOURCE]
    digest = hmac.digest(base64.b64decode(key), "\n".join(fields).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def mint(key: str, resource: str, permissions: str, expires: datetime) -> str:
    """A SAS query string for a container or a blob."""
    kind = "b" if resource.count("/") > 2 else "c"
    query = {"sv": VERSION, "sr": kind, "sp": permissions, "se": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return urlencode({**query, "sig": sign(key, resource, query)})


def is_valid(key: str, resource: str, query: Mapping[str, str], now: datetime) -> bool:
    """True when the signature fits the resource and its time has neither passed nor is still to come."""
    signed = resource if query.get("sr") == "b" else "/".join(resource.split("/")[:3])
    expected = sign(key, signed, query)
    if not hmac.compare_digest(expected.encode(), query.get("sig", "").encode()):
        return False
    starts = query.get("st")
    return now < _moment(query.get("se", "")) and (not starts or _moment(starts) <= now)


def _moment(text: str) -> datetime:
    """A missing or odd time is long past."""
    try:
        return datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00Z")
