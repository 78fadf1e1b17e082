"""Listings of stores that show an object a moment after it was written, as some that are compatible with S3 do."""

import time
from collections.abc import Mapping

from blocks.storage.destination.object_store import ListedObject, ObjectStore

_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each listing."""


def entries_with(store: ObjectStore, prefix: str, written: set[str]) -> Mapping[str, ListedObject]:
    """List the objects; while keys that were just written are missing, list again after each pause."""
    listed: Mapping[str, ListedObject] = {}
    for pause in _PAUSES:
        time.sleep(pause)
        listed = store.entries(prefix)
        if written <= listed.keys():
            break
    return listed
