"""Which tiles of a tileset are drawn: its coarse levels, refined where they are coarsest, within a budget."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blocks.bounds import LONGEST_SUBTREE, MIB
from blocks.foreign_data import Json
from blocks.storage.preview.shapes import Points
from blocks.storage.tileset.implicit_tiling import ImplicitTiling, Subtree
from blocks.storage.tileset.references import ROOT, content_uris, resolve
from blocks.storage.tileset.tile_content import TileFile

MOST_TILES = 1_500
MOST_BYTES = 96 * MIB
_MOST_IMPLICIT = 400
_MOST_REFINED = 20_000


@dataclass(frozen=True)
class PlacedFile:
    """A file to draw, and the matrix of its tile."""

    file: TileFile
    matrix: Points


@dataclass(frozen=True)
class Tile:
    """A tile with its files, and the tiles below it that are known; `is_replaced` once those are drawn."""

    error: float
    is_replaced: bool
    files: list[PlacedFile]
    children: list["Node"]


@dataclass(frozen=True)
class Node:
    """A tile as a document describes it, and the matrix of the tile above it."""

    json: Json
    document: str
    above: Points
    refine: str = "REPLACE"


class TileTree:
    """The tree of a tileset on the disk, through its nested tilesets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def root(self) -> Tile:
        """The root tile."""
        return self.open(self._node_of(self._file(ROOT), np.eye(4)))

    def open(self, node: Node) -> Tile:
        """Read what a tile refers to; a nested tileset is a tile below."""
        json, matrix = node.json, node.above @ _matrix_of(node.json)
        refine = str(json.get("refine") or node.refine).upper()
        children = [Node(child, node.document, matrix, refine) for child in json.get("children") or ()]
        files: list[PlacedFile] = []
        for file in self._contents(node):
            if file.is_document and "root" in file.read_document():
                children.append(self._node_of(file, matrix))
            else:
                files.append(PlacedFile(file, matrix))
        error: object = json.get("geometricError")
        return Tile(float(error) if isinstance(error, (int, float)) else 0.0, refine == "REPLACE", files, children)

    def _contents(self, node: Node) -> Iterator[TileFile]:
        extensions: Json = node.json.get("extensions") or {}
        uris = tuple(content_uris(node.json, extensions))
        tiling: Json | None = node.json.get("implicitTiling") or extensions.get("3DTILES_implicit_tiling")
        for uri in self._implicit(node, tiling, uris) if tiling else uris:
            name = resolve(node.document, uri)
            if name is not None:
                yield self._file(name)

    def _implicit(self, node: Node, tiling: Json, templates: tuple[str, ...]) -> list[str]:
        """The finest level of the first subtree that is not too many tiles."""
        parsed = ImplicitTiling.parse(tiling, node.json, templates)
        name = resolve(node.document, parsed.uri(parsed.subtree_template, (0, 0, 0, 0)))
        if name is None:
            return []
        levels: dict[int, list[str]] = {}
        subtree = Subtree.parse(self._file(name).read_whole(LONGEST_SUBTREE), {})
        for uri, level in subtree.contents(parsed, (0, 0, 0, 0)):
            levels.setdefault(level, []).append(uri)
        small = [level for level, found in levels.items() if len(found) <= _MOST_IMPLICIT]
        return levels[max(small)] if small else []

    def _node_of(self, file: TileFile, above: Points) -> Node:
        return Node(file.read_document()["root"], file.name, above)

    def _file(self, name: str) -> TileFile:
        return TileFile(name, self._folder / name)


@dataclass
class TileChoice:
    """The files to draw; `is_complete` if nothing finer is left out."""

    files: list[PlacedFile] = field(default_factory=list[PlacedFile])
    is_complete: bool = True


def choose_tiles(folder: Path) -> TileChoice:
    """Refine the tile with the largest error, again and again; a tile is refined only if all below it fit in."""
    tree = TileTree(folder)
    root = tree.root()
    drawn = {0: root}
    waiting = [(-root.error, 0)]
    choice = TileChoice()
    number, count, size = 0, len(root.files), _size(root)
    while waiting:
        key = heapq.heappop(waiting)[1]
        below = [tree.open(node) for node in drawn[key].children]
        if not below:
            continue
        count += sum(len(tile.files) for tile in below)
        size += sum(map(_size, below))
        if count > MOST_TILES or size > MOST_BYTES or number > _MOST_REFINED:
            choice.is_complete = False
            count -= sum(len(tile.files) for tile in below)
            size -= sum(map(_size, below))
            continue
        if drawn[key].is_replaced and any(tile.files for tile in below):
            count, size = count - len(drawn[key].files), size - _size(drawn[key])
            del drawn[key]
        for tile in below:
            number += 1
            drawn[number] = tile
            heapq.heappush(waiting, (-tile.error, number))
    choice.files = [file for tile in drawn.values() for file in tile.files]
    return choice


def _size(tile: Tile) -> int:
    return sum(placed.file.size for placed in tile.files)


def _matrix_of(tile: Json) -> Points:
    """The transform of a tile; https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-tile-transforms: by columns."""
    given = tile.get("transform")
    return np.eye(4) if given is None else np.array(given, dtype=np.float64).reshape(4, 4).T
