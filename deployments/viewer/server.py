"""Web page on loopback that shows exported tiles and IFC files; it works without a network.

Every user of the machine can connect to loopback. Therefore the address contains a random key, new at each start, and
requests without the key get 404.
"""

import contextlib
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import stat_result
from pathlib import Path, PurePosixPath
from typing import TextIO
from urllib.parse import quote

import uvicorn
from rich import filesize
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blocks.bounds import LONGEST_NAME
from blocks.errors import ConfigurationError, InputError
from blocks.shown_text import shown
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.manifest import Manifest, read_manifest
from blocks.storage.site.site_file import SiteFile, read_site
from blocks.storage.tileset.references import ROOT
from deployments.node_tools import MODULES
from deployments.viewer.stored_exports import StoredFiles, find_stored, find_stored_sites, names_of, read_stored_site

HOST = "127.0.0.1"
_PAGES = Path(__file__).parent
_LIBRARIES = {"cesium": "cesium/Build/Cesium", "three": "three", "web-ifc": "web-ifc"}
_STORED = "/data/{path:path}"
_POLICY = "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'"
"""What the browser may load: nothing from elsewhere. CesiumJS makes workers from blobs and functions from text."""


@dataclass(frozen=True)
class ViewableItem:
    """A tileset or an IFC file that the page can show; `url` is relative to the page, `facts` what is known of it."""

    name: str
    kind: str
    url: str
    facts: tuple[str, ...] = ()


def create_app(
    source: Path | ObjectStore, key: str, *, above: ObjectStore | None = None, modules: Path = MODULES
) -> Starlette:
    """The viewer of a folder or an object store, below `/<key>/`.

    Args:
        source: What is shown.
        key: Nobody else on the machine knows it.
        above: The object store a level above, if there is one: it holds what a common tileset refers to.
        modules: Folder of the JavaScript libraries.

    Raises:
        ConfigurationError: The JavaScript libraries are not installed.
        InputError: There is no tileset and no IFC file.
    """
    libraries = {name: modules / path for name, path in _LIBRARIES.items()}
    if not all(path.is_dir() for path in libraries.values()):
        raise ConfigurationError(
            "The viewer needs CesiumJS, three.js and web-ifc, which are not installed. With Node 20 and npm on this "
            "machine, run once: python -m deployments.node_tools"
        )
    items, files = _in_folder(source) if isinstance(source, Path) else _in_store(source, above)
    if not items:
        place = source if isinstance(source, Path) else source.url
        raise InputError(f"There is nothing to view in {place}: no {ROOT} and no .ifc file. Export something first.")
    routes = [
        Route("/", _page),
        Route("/items.json", partial(_answer, [asdict(item) for item in items])),
        Mount("/pages", StaticFiles(directory=_PAGES / "pages")),
        files,
        *(Mount(f"/{name}", StaticFiles(directory=path)) for name, path in libraries.items()),
    ]
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]), Middleware(_CspMiddleware)],
    )


def _in_folder(folder: Path) -> tuple[list[ViewableItem], BaseRoute]:
    site = read_site(folder)
    if site is None:
        return find_items(folder), Mount("/data", _ExportedFiles(directory=folder))
    only = (folder.name, *site.imodel_ids)
    return [_site_item(f"{folder.name}/{ROOT}", site)], Mount(
        "/data", _ExportedFiles(directory=folder.parent, only=only)
    )


def _in_store(store: ObjectStore, above: ObjectStore | None) -> tuple[list[ViewableItem], BaseRoute]:
    site = read_stored_site(store, ROOT)
    if site and above:
        name = store.url.rpartition("/")[2]
        files = StoredFiles(above, only=(name, *site.imodel_ids))
        return [_site_item(f"{name}/{ROOT}", site)], Route(_STORED, files)
    common = [_site_item(path, found) for path, found in find_stored_sites(store)]
    exports = [
        ViewableItem(name, kind, f"data/{quote(name)}", _facts_of(manifest))
        for key, manifest in find_stored(store)
        for name, kind in names_of(key, manifest)
    ]
    return [*common, *exports], Route(_STORED, StoredFiles(store))


def serve(source: Path | ObjectStore, port: int, output: TextIO, above: ObjectStore | None = None) -> None:
    """Serve until interrupted; prints the address to `output`. `above` is the store at the parent of the viewed prefix.

    Raises:
        OSError: The port cannot be used.
    """
    key = secrets.token_urlsafe(24)
    app = create_app(source, key, above=above)
    place = source if isinstance(source, Path) else source.url
    # With the protocol named, asyncio sends small answers at once instead of 40 ms later.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((HOST, port))
        listener.listen()  # whoever opens the address at once waits instead of being refused
        address = f"http://{HOST}:{listener.getsockname()[1]}/{key}/"
        print(f"{address} shows {place}. Ctrl-C stops it.", file=output, flush=True)
        config = uvicorn.Config(app, log_level="error", access_log=False, ws="none")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def find_items(folder: Path) -> list[ViewableItem]:
    """Tilesets and IFC files in a folder and in the exports below it; external tilesets of a tileset are not listed."""
    manifests = [*folder.glob(f"*/{MANIFEST_NAME}"), *folder.glob(f"*/*/{MANIFEST_NAME}")]
    exports = sorted({folder, *(manifest.parent for manifest in manifests)})
    sites = [(path.relative_to(folder), read_site(path.parent)) for path in sorted(folder.glob(f"*/{ROOT}"))]
    common = [_site_item(path.as_posix(), site) for path, site in sites if site]
    return [*common, *(item for export in exports for item in _items_of(export, folder))]


def _site_item(path: str, site: SiteFile) -> ViewableItem:
    facts = (site.itwin_name or PurePosixPath(path).parent.name, f"{len(site.imodel_ids)} iModels")
    return ViewableItem(path, "tileset", f"data/{quote(path)}", tuple(shown(fact, LONGEST_NAME) for fact in facts))


def _items_of(export: Path, folder: Path) -> list[ViewableItem]:
    tilesets = [(path, "tileset") for path in [export / ROOT] if path.is_file()]
    models = [(path, "ifc") for path in sorted(export.glob("*.ifc"))]
    facts = _facts_of(read_manifest(export))
    return [
        ViewableItem(
            path.relative_to(folder).as_posix(), kind, f"data/{quote(path.relative_to(folder).as_posix())}", facts
        )
        for path, kind in [*tilesets, *models]
    ]


def _facts_of(manifest: Manifest | None) -> tuple[str, ...]:
    """Name, version, size and content of an export; empty without a manifest."""
    if manifest is None:
        return ()
    index = manifest.changeset_index
    version = manifest.named_version.name if manifest.named_version else f"changeset {index}" if index else ""
    content = manifest.content.sentence() if manifest.content else ""
    verdict = "" if manifest.verdict == "not_checked" else manifest.verdict
    known = (manifest.imodel_name or "", version, verdict, filesize.decimal(manifest.total_bytes), content)
    return tuple(shown(fact, LONGEST_NAME) for fact in known if fact)


async def _answer(found: list[dict[str, str]], _: Request) -> JSONResponse:
    return JSONResponse(found)


async def _page(_: Request) -> FileResponse:
    return FileResponse(_PAGES / "pages" / "index.html")


class _ExportedFiles(StaticFiles):
    """Serves the folder without files and folders whose name begins with a dot; of it only some folders, if named."""

    def __init__(self, *, directory: Path, only: Sequence[str] = ()) -> None:
        super().__init__(directory=directory)
        self._only = frozenset(only)

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        """The path of a file; not found if a part of its name begins with a dot, or in another folder."""
        parts = PurePosixPath(path).parts
        if any(part.startswith(".") for part in parts) or (self._only and parts[:1] and parts[0] not in self._only):
            return "", None
        return super().lookup_path(path)


class _CspMiddleware:
    """Sets headers: the browser loads nothing from other hosts and sends no Referer, which would contain the key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message["headers"], *policy]
            await send(message)

        await self.app(scope, receive, send_with_policy)
