"""Exports in an object store for the viewer: what there is to see, and the objects themselves."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.errors import ExportError
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.manifest import Manifest
from blocks.storage.site.site_file import SiteFile, parsed_site
from blocks.storage.tileset.references import ROOT

_FORMATS = ("ifc", "mesh")
_AT_ONCE = 16


def find_stored(store: ObjectStore) -> list[tuple[str, Manifest]]:
    """The exports at an address, by key: it may be that of one export, of an iModel, or of all of them.

    Raises:
        ExportError: The store cannot be read.
    """
    folders = [name for name in store.folders() if not name.startswith(".")]
    keys = ["", *_FORMATS, *(f"{folder}/{chosen}" for folder in folders for chosen in _FORMATS)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seen = list(pool.map(StoredExport.see, [StoredExport(store, key, Path()) for key in keys]))
    found = [(key, one.manifest) for key, one in zip(keys, seen, strict=True)]
    return [(key, manifest) for key, manifest in found if manifest]


def find_stored_sites(store: ObjectStore) -> list[tuple[str, SiteFile]]:
    """The common tilesets in the folders at an address, by key.

    Raises:
        ExportError: The store cannot be read.
    """
    keys = [f"{name}/{ROOT}" for name in store.folders() if not name.startswith(".")]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sites = list(pool.map(partial(read_stored_site, store), keys))
    return [(key, site) for key, site in zip(keys, sites, strict=True) if site]


def read_stored_site(store: ObjectStore, key: str) -> SiteFile | None:
    """The common tileset of a key; None if there is none of ours.

    Raises:
        ExportError: The store cannot be read, or holds a larger object there than this tool writes.
    """
    found = store.read(key, LONGEST_TILESET_JSON)
    return parsed_site(found.content) if found else None


def names_of(key: str, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Key and kind of what the page can show of an export."""
    for file in manifest.files:
        if file.role in {"tileset", "model"}:
            yield str(PurePosixPath(key, file.path)), "tileset" if file.role == "tileset" else "ifc"


class StoredFiles:
    """Serves the objects below an address, without those in folders whose name begins with a dot.

    Args:
        store: The objects.
        only: If named, only these folders are served.
    """

    def __init__(self, store: ObjectStore, only: Sequence[str] = ()) -> None:
        self._store = store
        self._only = frozenset(only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await run_in_threadpool(self._response_to, Request(scope))
        await response(scope, receive, send)

    def _response_to(self, request: Request) -> Response:
        key = str(request.path_params["path"]).strip("/")
        parts = PurePosixPath(key).parts
        is_hidden = any(part.startswith(".") for part in parts) or bool(self._only and parts[0] not in self._only)
        if is_hidden or request.method not in {"GET", "HEAD"}:
            return Response(status_code=404)
        try:
            found = self._store.open(key)
        except ExportError:
            return Response(status_code=502)
        if found is None:
            return Response(status_code=404)
        headers = {"Content-Length": str(found.size), "Content-Type": found.content_type, "ETag": f'"{found.etag}"'}
        return StreamingResponse(iter(()) if request.method == "HEAD" else found.pieces, headers=headers)
