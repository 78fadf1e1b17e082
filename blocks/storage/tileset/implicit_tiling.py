"""Implicit tiling of 3D Tiles 1.1: which files a subtree says exist.

https://github.com/CesiumGS/3d-tiles/tree/main/specification/ImplicitTiling
"""

import re
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from blocks.bounds import LONGEST_TILESET_JSON, MOST_TILES
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_json_object

Coordinates = tuple[int, int, int, int]
"""Level, x, y, z; z stays 0 in a quadtree."""

_HEADER = struct.Struct("<4sIQQ")
_DEEPEST_ROOT = 50
_DEEPEST = 10
"""Levels of one subtree; 10 of an octree are 150 million bits of availability, common are 3 to 7."""
_SOME_BITS = re.compile(rb"[^\0]")


@dataclass(frozen=True)
class ImplicitTiling:
    """How a tile subdivides, and the templates of the files that brings."""

    subtree_template: str
    content_templates: tuple[str, ...]
    levels: int
    is_octree: bool
    depth: int = 0
    geometric_error: object = None

    @classmethod
    def parse(cls, tiling: Json, tile: Json, content_templates: tuple[str, ...], depth: int = 0) -> "ImplicitTiling":
        """Read the member `implicitTiling` of a tile that is so many levels below the root of the tileset."""
        levels = tiling.get("subtreeLevels")
        subtrees: Json = tiling.get("subtrees") or {}
        template = subtrees.get("uri")
        if not isinstance(levels, int) or not 0 < levels <= _DEEPEST or not isinstance(template, str):
            raise ContentError("The tileset has an implicit tile without usable subtrees.")
        is_octree = tiling.get("subdivisionScheme") == "OCTREE"
        return cls(template, content_templates, levels, is_octree, depth, tile.get("geometricError"))

    @property
    def branching(self) -> int:
        """Children of a tile."""
        return 8 if self.is_octree else 4

    def uri(self, template: str, at: Coordinates) -> str:
        """Fill in a template."""
        for name, value in zip(("level", "x", "y", "z"), at, strict=True):
            template = template.replace(f"{{{name}}}", str(value))
        return template

    def descend(self, root: Coordinates, levels: int, morton: int) -> Coordinates:
        """The coordinates of a descendant, so many levels below, by its Morton index."""
        axes = 3 if self.is_octree else 2
        low = [sum((morton >> (bit * axes + axis) & 1) << bit for bit in range(levels)) for axis in range(axes)]
        x, y, z = ((start << levels) + offset for start, offset in zip(root[1:], (*low, 0)[:3], strict=True))
        return root[0] + levels, x, y, z if self.is_octree else 0


@dataclass(frozen=True)
class Subtree:
    """One subtree document: what it says, its own binary part, and buffers from other files by URI."""

    document: Json
    body: bytes
    others: Mapping[str, bytes]

    @classmethod
    def parse(cls, content: bytes, others: Mapping[str, bytes]) -> "Subtree":
        """Read a binary `.subtree` or its JSON form."""
        try:
            if content[:4] != b"subt":
                return cls(read_json_object(content, LONGEST_TILESET_JSON), b"", others)
            _, _, json_size, body_size = _HEADER.unpack_from(content)
            start = _HEADER.size + json_size
            if start + body_size > len(content):
                raise ContentError("A subtree of the tileset is cut off.")
            document = read_json_object(content[_HEADER.size : start], LONGEST_TILESET_JSON)
            return cls(document, content[start:], others)
        except (struct.error, ForeignDataError):
            raise ContentError("A subtree of the tileset is no subtree.") from None

    def buffers(self) -> Generator[str]:
        """URIs of buffers kept in files of their own."""
        yield from (buffer["uri"] for buffer in self.document.get("buffers", ()) if "uri" in buffer)

    def contents(self, tiling: ImplicitTiling, root: Coordinates) -> Generator[tuple[str, int]]:
        """URIs of the contents that are there, and how many levels each is below the implicit root."""
        count = (tiling.branching**tiling.levels - 1) // (tiling.branching - 1)
        availabilities = self.document.get("contentAvailability") or ()
        for template, availability in zip(tiling.content_templates, _as_list(availabilities), strict=False):
            indices = self._available(availability, count)
            for index in islice(indices, None if "{" in template else 1):  # all others are the same file
                level, first = _level_of(index, tiling.branching)
                yield tiling.uri(template, tiling.descend(root, level, index - first)), root[0] + level

    def children(self, tiling: ImplicitTiling, root: Coordinates) -> Generator[Coordinates]:
        """Roots of the subtrees below; a level deeper than coordinates go is a circle."""
        if root[0] > _DEEPEST_ROOT:
            raise ContentError("The tileset's subtrees never end.")
        availability = self.document.get("childSubtreeAvailability") or {"constant": 0}
        indices = self._available(availability, tiling.branching**tiling.levels)
        for index in islice(indices, None if "{" in tiling.subtree_template else 1):
            yield tiling.descend(root, tiling.levels, index)

    def _available(self, availability: Json, count: int) -> Generator[int]:
        if availability.get("constant") is not None:
            indices = range(count if availability["constant"] else 0)
            _require_bounded(len(indices))
            yield from indices
            return
        bits = self._view(availability.get("bitstream", availability.get("bufferView")))
        if len(bits) * 8 < count:
            raise ContentError("A subtree of the tileset has too few availability bits.")
        _require_bounded(int.from_bytes(bits).bit_count())
        for some in _SOME_BITS.finditer(bits):
            byte, first = some[0][0], some.start() * 8
            yield from (first + bit for bit in range(8) if byte >> bit & 1 and first + bit < count)

    def _view(self, index: Any) -> bytes:
        try:
            view = self.document["bufferViews"][index]
            uri = self.document["buffers"][view["buffer"]].get("uri")
            source = self.body if uri is None else self.others[uri]
            start = view.get("byteOffset", 0)
            return source[start : start + view["byteLength"]]
        except (KeyError, IndexError, TypeError):
            raise ContentError("A subtree of the tileset refers to a buffer it does not have.") from None


def _require_bounded(count: int) -> None:
    if count > MOST_TILES:
        raise ContentError(f"A subtree of the tileset speaks of more than {MOST_TILES} tiles.")


def _as_list(value: Any) -> list[Json]:
    return cast("list[Json]", value) if isinstance(value, (list, tuple)) else [cast("Json", value)]


def _level_of(index: int, branching: int) -> tuple[int, int]:
    """The level a bit belongs to, and the first bit of that level."""
    level, first, width = 0, 0, 1
    while index >= first + width:
        level, first, width = level + 1, first + width, width * branching
    return level, first
