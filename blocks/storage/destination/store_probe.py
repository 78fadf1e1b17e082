"""Whether exports can be published in an object store: everything that publishing does is tried with a small object."""

import secrets

from blocks.errors import ConfigurationError
from blocks.storage.destination.object_store import MISSING, Condition, ObjectStore, Version
from blocks.storage.destination.store_errors import ChangedMeanwhileError

_FOLDER = ".itwin-export"
_FIRST, _SECOND = b'{"probe": 1}', b'{"probe": 2}'


def try_store(store: ObjectStore) -> None:
    """Write, read, list, replace under conditions and delete an object.

    Raises:
        ConfigurationError: One of them is not permitted, or the store ignores conditions.
        InterruptedTransferError: The store cannot be reached.
    """
    key = f"{_FOLDER}/probe-{secrets.token_hex(8)}.json"
    try:
        first = store.write(key, _FIRST, condition=MISSING)
        _require_whole(store, key, first)
        _require_refused(store, key, MISSING, "If-None-Match")
        store.write(key, _SECOND, condition=first)
        _require_refused(store, key, first, "If-Match")
    finally:
        store.delete([key])


def _require_whole(store: ObjectStore, key: str, version: Version) -> None:
    found, listed = store.read(key, len(_FIRST)), store.entries(_FOLDER).get(key)
    if found is None or found.content != _FIRST:
        raise ConfigurationError(f"{store.url} does not return an object that was just written to it.")
    if listed is None or (listed.etag, listed.size) != (version.etag, len(_FIRST)):
        raise ConfigurationError(
            f"{store.url} does not list an object as it was just written. Skipping what is published needs a listing "
            f"that is current."
        )


def _require_refused(store: ObjectStore, key: str, condition: Condition, name: str) -> None:
    try:
        store.write(key, b'{"probe": 3}', condition=condition)
    except ChangedMeanwhileError:
        return
    raise ConfigurationError(
        f"{store.url} ignores conditions of writes ({name}), so two processes could publish over one another. Use a "
        f"store that has conditional writes, or export there from one process at a time."
    )
