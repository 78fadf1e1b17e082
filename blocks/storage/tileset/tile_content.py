"""What a file of a tileset is, told by its first bytes, and which other files it names.

File endings are optional: https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-file-extensions-and-media-types. Binary
glTF: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html#binary-gltf-layout.
"""

import os
import struct
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_json_object

BINARY_MAGICS = frozenset({b"glTF", b"b3dm", b"i3dm", b"pnts", b"cmpt", b"vctr", b"geom"})
"""Tile formats that begin alike: magic, version and length of the whole file."""
HEADER = struct.Struct("<4sII")

GLB = struct.Struct("<4sIIII")
BATCHED = ((28, (3, 4, 5, 6)), (24, (3, 4)), (20, (4,)))
"""Header sizes of `b3dm`, and which of its numbers count the bytes before the glTF; two are older than 3D Tiles 1.0."""
_HEAD_SIZE = 4096
_SUBTREE = struct.Struct("<4sIQQ")
_INSTANCED = struct.Struct("<4s7I")
_COMPOSITE_SIZE = 16
_PADDING = b" \t\r\n\0"


class TileFile:
    """A file of a tileset on the disk, read piece by piece; its first bytes are kept."""

    def __init__(self, name: str, path: Path | str) -> None:
        self.name = name
        self._path = path
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  five times faster than a Path, for each tile
            self._head = file.read(_HEAD_SIZE)
            self.size = os.fstat(file.fileno()).st_size

    @property
    def magic(self) -> bytes:
        """The first four bytes."""
        return self._head[:4]

    @property
    def is_document(self) -> bool:
        """Whether it can only be JSON text."""
        return self._head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"

    @property
    def is_markup(self) -> bool:
        """Whether it is the page of a web server, or its error in XML."""
        return self._head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"

    @property
    def declared_size(self) -> int | None:
        """The length its own header gives; none where its format has no such header or the header is cut."""
        if self.magic == b"subt" and len(self._head) >= _SUBTREE.size:
            _, _, document, body = _SUBTREE.unpack_from(self._head)
            return _SUBTREE.size + document + body
        if self.magic in BINARY_MAGICS and len(self._head) >= HEADER.size:
            return HEADER.unpack_from(self._head)[2]
        return None

    def read_whole(self, longest: int) -> bytes:
        """All bytes.

        Raises:
            ContentError: The file has more than that.
        """
        if self.size > longest:
            raise ContentError(f"{self.name} of the tileset has {self.size} bytes; at most {longest} are read.")
        return self.read()

    def read_document(self) -> Json:
        """Its JSON document.

        Raises:
            ContentError: It is none, or larger than a document of a tileset may be.
        """
        return parse_json(self.name, self.read_whole(LONGEST_TILESET_JSON))

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """So many bytes from there, fewer at the end of the file."""
        end = self.size if length is None else min(start + length, self.size)
        if end <= len(self._head):
            return self._head[start:end]
        with Path(self._path).open("rb") as file:
            file.seek(start)
            return file.read(max(0, end - start))


@dataclass(frozen=True, slots=True)
class Reference:
    """A URI in a file; `refers_on` if the file it means may name others."""

    uri: str
    refers_on: bool = False


@dataclass(frozen=True, slots=True)
class _Section:
    """A tile or model: a whole file or a part of one."""

    file: TileFile
    start: int
    size: int

    def read(self, start: int, length: int) -> bytes:
        return self.file.read(self.start + start, max(0, min(length, self.size - start)))

    def rest(self, start: int) -> "_Section":
        if start > self.size:
            raise _cut(self.file.name)
        return _Section(self.file, self.start + start, self.size - start)

    def numbers(self, layout: struct.Struct) -> tuple[Any, ...]:
        head = self.read(0, layout.size)
        if len(head) < layout.size:
            raise _cut(self.file.name)
        return layout.unpack(head)

    def whole(self) -> "_Section":
        """As long as its header says; what comes after is padding."""
        size = self.numbers(HEADER)[2]
        if not HEADER.size <= size <= self.size:
            raise _cut(self.file.name)
        return _Section(self.file, self.start, size)


def references_of(file: TileFile) -> Generator[Reference]:
    """What a binary tile names: images and buffers of a glTF, the models of instances.

    Raises:
        ContentError: It is cut off, or a part of it is.
    """
    parts = [_Section(file, 0, file.size).whole()]
    while parts:
        part = parts.pop()
        match part.read(0, 4):
            case b"glTF":
                yield from _of_model(part)
            case b"b3dm":
                yield from _of_batched(part)
            case b"i3dm":
                yield from _of_instanced(part)
            case b"cmpt":
                parts.extend(_parts_of_composite(part))
            case _:
                continue


def _of_model(part: _Section) -> Generator[Reference]:
    """The JSON chunk is parsed only if it mentions a URI: that is cheaper to see."""
    size = part.whole().numbers(GLB)[3]
    text = part.read(GLB.size, min(size, LONGEST_TILESET_JSON))
    if len(text) < size:
        raise _cut(part.file.name)
    if b'uri"' in text or b'Uri"' in text:
        yield from gltf_references(parse_json(part.file.name, text))


def _of_batched(part: _Section) -> Generator[Reference]:
    for size, counts in BATCHED:
        head = part.read(0, size)
        if len(head) == size:
            numbers = struct.unpack(f"<4s{size // 4 - 1}I", head)
            start = size + sum(numbers[index] for index in counts)
            if part.read(start, 4) == b"glTF":
                yield from _of_model(part.rest(start))
                return


def _of_instanced(part: _Section) -> Generator[Reference]:
    """https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-instanced3dmodel-gltf: format 0 is a URI."""
    _, _, _, *tables, kind = part.numbers(_INSTANCED)
    model = part.rest(_INSTANCED.size + sum(tables))
    if kind == 1:
        yield from _of_model(model)
        return
    uri = model.read(0, model.size).strip(_PADDING).decode(errors="replace")
    if not uri:
        raise ContentError(f"{part.file.name} of the tileset names no model for its instances.")
    yield Reference(uri, refers_on=True)


def _parts_of_composite(part: _Section) -> Generator[_Section]:
    count = part.numbers(struct.Struct("<4sIII"))[3]
    start = _COMPOSITE_SIZE
    for _ in range(count):
        inner = part.rest(start).whole()
        start += inner.size
        yield inner


def gltf_references(document: Json) -> Generator[Reference]:
    """What a glTF document keeps in files of its own: buffers, images, shaders (glTF 1.0), and what extensions keep."""
    extensions: Json = document.get("extensions") or {}
    for member in ("buffers", "images", "shaders"):
        yield from _uris_in(document.get(member))
    for extension in extensions.values():
        if isinstance(extension, dict):
            extension = cast("Json", extension)
            yield from _uris_in([{"uri": extension.get("schemaUri")}])
            for member in extension.values():
                yield from _uris_in(member)


def _uris_in(value: object) -> Generator[Reference]:
    """URIs of the objects in a list (glTF 2.0) or by name (glTF 1.0)."""
    entries: Iterable[object] = ()
    if isinstance(value, dict):
        entries = cast("Json", value).values()
    elif isinstance(value, list):
        entries = cast("list[object]", value)
    for entry in entries:
        uri = cast("Json", entry).get("uri") if isinstance(entry, dict) else None
        if isinstance(uri, str):
            yield Reference(uri)


def parse_json(name: str, content: bytes) -> Json:
    """A JSON document; padding after it does not matter.

    Raises:
        ContentError: It is none; the message names the file.
    """
    try:
        return read_json_object(content.rstrip(_PADDING), LONGEST_TILESET_JSON)
    except ForeignDataError as error:
        raise ContentError(f"{name} of the tileset is not the JSON document it should be: {error}.") from None


def _cut(name: str) -> ContentError:
    return ContentError(f"{name} of the tileset is cut off: it declares more bytes than it has.")
