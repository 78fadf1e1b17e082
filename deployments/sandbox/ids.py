"""Ids as the platform writes them, the same in every sandbox."""

import base64
import binascii
import hashlib
import re
from uuid import UUID, uuid5

_NAMESPACE = UUID("5a4d0b0c-6f5e-5d3a-9c61-6f1d0d2f7a10")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PAIR = re.compile(r"[A-Za-z0-9_-]{43}")
_CHANGESET_ID = re.compile(r"[0-9a-fA-F]{40}")


def guid(*parts: object) -> str:
    """The GUID that is derived from these parts."""
    return str(uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))


def pair_id(first: str, second: str) -> str:
    """43 base64url characters: two GUIDs in .NET byte order, as export connections and Storage items have."""
    return base64.urlsafe_b64encode(UUID(first).bytes_le + UUID(second).bytes_le).decode().rstrip("=")


def unpair(text: str) -> tuple[str, str] | None:
    """The two GUIDs of a pair id, or none."""
    if not _PAIR.fullmatch(text):
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return None
    return str(UUID(bytes_le=raw[:16])), str(UUID(bytes_le=raw[16:]))


def output_guid(run_id: str) -> str:
    """The GUID that may stand for a run's output file."""
    return guid("output", run_id)


def changeset_id(imodel_id: str, index: int) -> str:
    """40 hex digits."""
    return hashlib.sha1(f"{imodel_id}#{index}".encode(), usedforsecurity=False).hexdigest()


def is_guid(text: str) -> bool:
    """True for the 8-4-4-4-12 form."""
    return _GUID.fullmatch(text) is not None


def is_changeset_id(text: str) -> bool:
    """True for 40 hex digits."""
    return _CHANGESET_ID.fullmatch(text) is not None


def is_connection_id(text: str) -> bool:
    """True for both forms of the documented samples."""
    return is_guid(text) or unpair(text) is not None
