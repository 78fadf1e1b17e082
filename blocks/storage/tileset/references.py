"""What a tileset's documents refer to: contents, external tilesets, subtrees and what glTF keeps outside."""

import base64
import json
import posixpath
import struct
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import cast
from urllib.parse import unquote, urlsplit

from blocks.errors import ContentError
from blocks.storage.tileset.implicit_tiling import Coordinates, ImplicitTiling, Json, Subtree

ROOT = "tileset.json"
Reader = Callable[[str], bytes | None]
"""Gives a file's content by its name (of a `.glb` at least the JSON chunk), none while it is not there."""

Visit = Callable[[bytes], None]

_GLB_HEADER = struct.Struct("<4sIIII")


def resolve(document: str, uri: str) -> str | None:
    """The name of the file a URI in a document means; none for data kept in the URI itself.

    Raises:
        ContentError: It points out of the tileset.
    """
    if uri.startswith("data:"):
        return None
    parts = urlsplit(uri)
    name = posixpath.normpath(posixpath.join(posixpath.dirname(document), unquote(parts.path)))
    if parts.scheme or parts.netloc or not parts.path or name.startswith(("/", "../")) or name in {".", ".."}:
        raise ContentError(f"{document} refers to {uri.partition('?')[0]!r}, which is no file of the tileset.")
    return name


class ReferenceCrawler:
    """Follows the references from `tileset.json`, as far as the documents are there; may be continued.

    Attributes:
        names: Every file that must be there.
        contents: Those of them that hold what one sees.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.names = {ROOT}
        self.contents = set[str]()
        self._waiting: dict[str, list[Visit]] = {ROOT: [partial(self._document, ROOT)]}

    def advance(self) -> None:
        """Read every document that is there by now.

        Raises:
            ContentError: A document makes no sense, or points out of the tileset.
        """
        is_moving = True
        while is_moving:
            is_moving = False
            for name in list(self._waiting):
                content = self._read(name)
                if content is not None:
                    is_moving = True
                    self._visit(name, content)

    def _visit(self, name: str, content: bytes) -> None:
        for visit in self._waiting.pop(name):
            try:
                visit(content)
            except (AttributeError, LookupError, TypeError):
                raise ContentError(f"{name} of the tileset does not follow the 3D Tiles format.") from None

    def _document(self, name: str, content: bytes) -> None:
        """An external tileset, a glTF document or the head of a binary one."""
        is_binary = name.lower().endswith(".glb")
        document = glb_document(content) if is_binary else parse_json(name, content)
        if name == ROOT or "root" in document:
            self._tileset(name, document)
        else:
            for uri in gltf_uris(document):
                self._add(name, uri)

    def _tileset(self, name: str, document: Json) -> None:
        if uri := document.get("schemaUri"):
            self._add(name, uri)
        tiles: list[Json] = [document.get("root") or {}]
        while tiles:
            tile = tiles.pop()
            tiles.extend(tile.get("children") or ())
            self._tile(name, tile)

    def _tile(self, document: str, tile: Json) -> None:
        extensions: Json = tile.get("extensions") or {}
        tiling: Json | None = tile.get("implicitTiling") or extensions.get("3DTILES_implicit_tiling")
        uris = tuple(_content_uris(tile, extensions))
        if tiling:
            self._subtree(document, ImplicitTiling.parse(tiling, uris), (0, 0, 0, 0))
            return
        for uri in uris:
            self._content(document, uri)

    def _content(self, document: str, uri: str) -> None:
        is_known = resolve(document, uri) in self.names
        name = self._add(document, uri)
        if name is None:
            return
        self.contents.add(name)
        if not is_known and name.lower().endswith((".json", ".gltf", ".glb")):
            self._waiting.setdefault(name, []).append(partial(self._document, name))

    def _subtree(self, document: str, tiling: ImplicitTiling, at: Coordinates) -> None:
        uri = tiling.uri(tiling.subtree_template, at)
        is_known = resolve(document, uri) in self.names
        if (name := self._add(document, uri)) and not is_known:
            self._waiting.setdefault(name, []).append(partial(self._read_subtree, document, name, tiling, at))

    def _read_subtree(self, document: str, name: str, tiling: ImplicitTiling, at: Coordinates, content: bytes) -> None:
        """Wait for the buffers it keeps in files of their own, then take what it says is there."""
        buffers: dict[str, bytes] = {}
        subtree = Subtree.parse(content, buffers)
        for uri in subtree.buffers():
            buffer = self._add(name, uri)
            found = self._read(buffer) if buffer else base64.b64decode(uri.partition(",")[2])
            if buffer and found is None:
                again = partial(self._again, partial(self._read_subtree, document, name, tiling, at), content)
                self._waiting.setdefault(buffer, []).append(again)
                return
            buffers[uri] = found or b""
        for uri in subtree.contents(tiling, at):
            self._content(document, uri)
        for child in subtree.children(tiling, at):
            self._subtree(document, tiling, child)

    @staticmethod
    def _again(visit: Visit, content: bytes, _buffer: bytes) -> None:
        visit(content)

    def _add(self, document: str, uri: str) -> str | None:
        name = resolve(document, uri)
        if name:
            self.names.add(name)
        return name


def _content_uris(tile: Json, extensions: Json) -> Generator[str]:
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


def parse_json(name: str, content: bytes) -> Json:
    """A JSON document.

    Raises:
        ContentError: It is none; the message names the file.
    """
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ContentError(f"{name} of the tileset is not the JSON document it should be.")
    return cast("Json", document)


def gltf_uris(document: Json) -> Iterable[str]:
    """URIs of buffers and images a glTF document keeps in files of their own."""
    entries: list[Json] = [*(document.get("buffers") or ()), *(document.get("images") or ())]
    return [entry["uri"] for entry in entries if isinstance(entry.get("uri"), str)]


def glb_document(content: bytes) -> Json:
    """The JSON chunk of a GLB; empty when it mentions no URI, which is cheaper to see than to parse."""
    size = _GLB_HEADER.unpack_from(content)[3] if len(content) >= _GLB_HEADER.size else 0
    chunk = content[_GLB_HEADER.size : _GLB_HEADER.size + size]
    return parse_json("A GLB file", chunk) if b'"uri"' in chunk else {}
