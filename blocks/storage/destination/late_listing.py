"""Listings of stores that show an object a moment after it was written, as some that are compatible with S3 do."""

import time
from collections.abc import Mapping

from blocks.storage.destination.object_store import ListedObject, ObjectStore

_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each listing."""


def entries_with(
    store: ObjectStore, prefix: str, written: set[str], *, is_flat: bool = False
) -> Mapping[str, ListedObject]:
    """List the objects below a prefix, up to five times with pauses while keys that were just written are missing.

    Args:
        store: The object store.
        prefix: What the keys begin with, up to a slash.
        written: Keys that have to be there.
        is_flat: Leave out what is in folders below the prefix.
    """
    listed: Mapping[str, ListedObject] = {}
    for pause in _PAUSES:
        time.sleep(pause)
        listed = store.entries(prefix, is_flat=is_flat)
        if written <= listed.keys():
            break
    return listed
