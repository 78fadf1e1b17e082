"""Shared access signatures of the blob account, in the form of Azure Blob Storage.

A signature made by azure-storage-blob with the sandbox's account key is accepted, and the other way round.
https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

VERSION = "2024-11-04"
RESPONSE_HEADERS = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}
"""Signed parameters that replace a header of the answer to a read."""
_BEFORE_RESOURCE = ("sp", "st", "se")
_AFTER_RESOURCE = ("si", "sip", "spr", "sv", "sr", "snapshot", "ses", *RESPONSE_HEADERS)


def sign(key: str, resource: str, query: Mapping[str, str]) -> str:
    """The signature over these SAS parameters; a resource is `/account/container[/blob]`."""
    fields = [query.get(name, "") for name in _BEFORE_RESOURCE]
    fields.append(f"/blob{resource}")
    fields += [query.get(name, "") for name in _AFTER_RESOURCE]
    digest = hmac.digest(base64.b64decode(key), "\n".join(fields).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def mint(key: str, resource: str, permissions: str, expires: datetime, signed: Mapping[str, str]) -> str:
    """A SAS query string for a container or a blob, with further signed parameters."""
    kind = "b" if resource.count("/") > 2 else "c"
    query = {"sv": VERSION, **signed, "sr": kind, "sp": permissions, "se": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return urlencode({**query, "sig": sign(key, resource, query)})


def is_valid(key: str, resource: str, query: Mapping[str, str], now: datetime) -> bool:
    """True when the signature fits the resource and the time lies between `st` and `se`."""
    signed = resource if query.get("sr") == "b" else "/".join(resource.split("/")[:3])
    expected = sign(key, signed, query)
    if not hmac.compare_digest(expected.encode(), query.get("sig", "").encode()):
        return False
    starts = query.get("st")
    return now < _moment(query.get("se", "")) and (not starts or _moment(starts) <= now)


def allows_protocol(query: Mapping[str, str], scheme: str) -> bool:
    """True when `spr` is absent or names this scheme."""
    return not query.get("spr") or scheme in query["spr"].split(",")


def allows_address(query: Mapping[str, str], address: str) -> bool:
    """True when `sip` is absent or is this address or a range around it."""
    if not query.get("sip"):
        return True
    first, _, last = query["sip"].partition("-")
    try:
        lowest, highest = (int(ipaddress.ip_address(end)) for end in (first, last or first))
        return lowest <= int(ipaddress.ip_address(address)) <= highest
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    """The time; one that is missing or malformed counts as long past."""
    try:
        return datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00Z")
