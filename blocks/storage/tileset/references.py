"""References between a tileset's files: contents, external tilesets, subtrees and files of a glTF."""

import posixpath
import struct
from collections.abc import Callable, Generator
from functools import partial
from urllib.parse import unquote

from blocks.bounds import LONGEST_CHAIN, LONGEST_SUBTREE, LONGEST_TILE_NAMES, MOST_TILES
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_base64, split_url
from blocks.storage.tileset.implicit_tiling import Coordinates, ImplicitTiling, Subtree
from blocks.storage.tileset.statistics import TilesetStatistics
from blocks.storage.tileset.tile_content import (
    BINARY_MAGICS,
    Reference,
    TileFile,
    gltf_references,
    references_of,
)

ROOT = "tileset.json"
KINDS = {b"glTF": "glb"}
"""Names of the binary formats that are not called like their first four bytes."""
Reader = Callable[[str], TileFile | None]
"""Gives a file by its name, none while it is not there."""

Handler = Callable[[TileFile], None]


def resolve(document: str, uri: str) -> str | None:
    """The name of the file a URI in a document means; none for data kept in the URI itself.

    A backslash separates folders, as in browsers: https://url.spec.whatwg.org/#path-state.

    Raises:
        ContentError: It points out of the tileset.
    """
    if uri.startswith("data:"):
        return None
    try:
        parts = split_url(uri.strip().replace("\\", "/"))
    except ForeignDataError:
        raise _foreign(document, uri) from None
    name = posixpath.normpath(posixpath.join(posixpath.dirname(document), unquote(parts.path)))
    if parts.scheme or parts.netloc or not parts.path or name.startswith(("/", "../")) or name in {".", ".."}:
        raise _foreign(document, uri)
    return name


class ReferenceCrawler:
    """Follows the references from `tileset.json` in the files that exist; may be continued with `advance`.

    The type of a file is detected from its first bytes, as 3D Tiles readers do, not from its suffix.

    Attributes:
        names: Every file that must be there.
        contents: Those of them that are tile contents.
        tilesets: Those of them that are tilesets; a content that is one is no tile.
        statistics: What the files tell of the tiles.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.names = {ROOT}
        self.contents = set[str]()
        self.tilesets = {ROOT}
        self.statistics = TilesetStatistics()
        self._opened = {ROOT}
        self._available = self._passes = self._name_bytes = 0
        self._waiting: dict[str, list[Handler]] = {ROOT: [self._tileset_file]}

    def advance(self) -> None:
        """Read every file that is there by now.

        Raises:
            ContentError: A file makes no sense, or points out of the tileset.
        """
        is_moving = True
        while is_moving:
            is_moving = False
            self._require_end()
            for name in list(self._waiting):
                file = self._read(name)
                if file is not None:
                    is_moving = True
                    self._visit(file)

    def _require_end(self) -> None:
        """Each pass over the waiting files goes one reference further."""
        self._passes += 1
        if self._passes > LONGEST_CHAIN:
            raise ContentError(f"More than {LONGEST_CHAIN} documents of the tileset refer to one another in a row.")

    def _visit(self, file: TileFile) -> None:
        for handler in self._waiting.pop(file.name):
            try:
                handler(file)
            except (AttributeError, LookupError, TypeError, struct.error):
                raise ContentError(f"{file.name} of the tileset does not follow the 3D Tiles format.") from None

    def _tileset_file(self, file: TileFile) -> None:
        self._tileset(file.name, file.read_document(), 0)

    def _open(self, file: TileFile) -> None:
        """A tile, a model, or an external tileset."""
        if file.magic in BINARY_MAGICS:
            self.statistics.add_kind(file.name, KINDS.get(file.magic, file.magic.decode()))
            self._add_all(file.name, references_of(file))
        elif file.is_document:
            self._open_document(file.name, file.read_document())
        elif file.is_markup:
            raise ContentError(f"{file.name} of the tileset is a page of a web server and no tile.")

    def _open_document(self, name: str, document: Json) -> None:
        if "root" in document:
            self.tilesets.add(name)
            self._tileset(name, document, self.statistics.level_of(name) + 1)
        elif "asset" in document:
            self.statistics.add_kind(name, "gltf")
            self._add_all(name, gltf_references(document))
        elif "type" in document:
            self.statistics.add_kind(name, "geojson")  # it names no files, and neither do voxels
        elif "voxelTable" not in document:
            raise ContentError(f"{name} of the tileset is no document of 3D Tiles: neither tileset nor glTF.")

    def _tileset(self, name: str, document: Json, level: int) -> None:
        self.statistics.add_document(document, is_root=name == ROOT)
        extensions: Json = document.get("extensions") or {}
        metadata: Json = extensions.get("3DTILES_metadata") or {}
        for uri in (document.get("schemaUri"), metadata.get("schemaUri")):
            if uri:
                self._add(name, uri)
        tiles: list[tuple[Json, int]] = [(document.get("root") or {}, level)]
        while tiles:
            tile, level = tiles.pop()
            tiles.extend((child, level + 1) for child in tile.get("children") or ())
            self._tile(name, tile, level)

    def _tile(self, document: str, tile: Json, level: int) -> None:
        self.statistics.add_error(tile.get("geometricError"))
        extensions: Json = tile.get("extensions") or {}
        tiling: Json | None = tile.get("implicitTiling") or extensions.get("3DTILES_implicit_tiling")
        uris = tuple(content_uris(tile, extensions))
        if tiling:
            self._subtree(document, ImplicitTiling.parse(tiling, tile, uris, level), (0, 0, 0, 0), frozenset())
            return
        for uri in uris:
            self._content(document, uri, level)

    def _content(self, document: str, uri: str, level: int) -> None:
        name = self._add(document, uri, refers_on=True)
        if name is not None:
            self.contents.add(name)
            self.statistics.add_content(name, level)

    def _subtree(self, document: str, tiling: ImplicitTiling, at: Coordinates, ancestors: frozenset[str]) -> None:
        """One file may serve many places: the tiles it speaks of are others each time.

        A subtree that is its own descendant goes on for ever, which is harmless while its contents are the same.
        """
        name = self._add(document, tiling.uri(tiling.subtree_template, at))
        if name in ancestors and any("{" in template for template in tiling.content_templates):
            raise ContentError(f"{name} of the tileset is its own descendant: its subtrees never end.")
        if name and name not in ancestors:
            handler = partial(self._read_subtree, document, tiling, at, ancestors | {name})
            self._waiting.setdefault(name, []).append(handler)

    def _read_subtree(
        self, document: str, tiling: ImplicitTiling, at: Coordinates, ancestors: frozenset[str], file: TileFile
    ) -> None:
        """Wait for the buffers it keeps in files of their own, then take what it says is there."""
        buffers: dict[str, bytes] = {}
        subtree = Subtree.parse(file.read_whole(LONGEST_SUBTREE), buffers)
        for uri in subtree.buffers():
            buffer = self._add(file.name, uri)
            found = self._read(buffer) if buffer else None
            if buffer and found is None:
                again = partial(self._read_subtree, document, tiling, at, ancestors, file)
                self._waiting.setdefault(buffer, []).append(partial(self._again, again))
                return
            buffers[uri] = found.read_whole(LONGEST_SUBTREE) if found else read_base64(uri.partition(",")[2]) or b""
        for uri, depth in subtree.contents(tiling, at):
            self._count()
            self._content(document, uri, tiling.depth + depth)
            self.statistics.add_error(tiling.geometric_error, depth)
        for child in subtree.children(tiling, at):
            self._count()
            self._subtree(document, tiling, child, ancestors)

    @staticmethod
    def _again(handler: Callable[[], None], _buffer: TileFile) -> None:
        handler()

    def _count(self) -> None:
        """Bound the work that a few bits of availability can ask for."""
        self._available += 1
        if self._available > MOST_TILES:
            raise ContentError(f"The subtrees of the tileset speak of more than {MOST_TILES} tiles.")

    def _require_room(self, name: str) -> None:
        self._name_bytes += len(name)
        if len(self.names) >= MOST_TILES or self._name_bytes > LONGEST_TILE_NAMES:
            raise ContentError(
                f"The tileset refers to more than {MOST_TILES} files, or to names of {LONGEST_TILE_NAMES} bytes."
            )

    def _add_all(self, document: str, references: Generator[Reference]) -> None:
        for reference in references:
            self._add(document, reference.uri, refers_on=reference.refers_on)

    def _add(self, document: str, uri: str, *, refers_on: bool = False) -> str | None:
        """Note that a file must be there, and if it may name others, that it is to be opened, once."""
        name = resolve(document, uri)
        if name is None:
            return None
        if name not in self.names:
            self._require_room(name)
            self.names.add(name)
        if refers_on and name not in self._opened:
            self._opened.add(name)
            self._waiting.setdefault(name, []).append(self._open)
        return name


def _foreign(document: str, uri: str) -> ContentError:
    return ContentError(f"{document} refers to {uri.partition('?')[0]!r}, which is no file of the tileset.")


def content_uris(tile: Json, extensions: Json) -> Generator[str]:
    """URIs of the contents of a tile."""
    several: Json = extensions.get("3DTILES_multiple_contents") or {}
    contents: list[Json | None] = [
        tile.get("content"),
        *(tile.get("contents") or ()),
        *(several.get("contents") or several.get("content") or ()),
    ]
    for content in contents:
        uri = content.get("uri") or content.get("url") if content else None
        if uri:
            yield uri
