"""What a walk through the references of a tileset tells of its tiles."""

from collections import Counter
from collections.abc import Mapping
from typing import cast

from blocks.foreign_data import Json
from blocks.storage.content.models import LargestTile, TilesetContent
from blocks.storage.tileset.bounding_volume import locate

MOST_EXTENSIONS = 100
LONGEST_TEXT = 100


class TilesetStatistics:
    """Collects levels, kinds and geometric errors; a file that several tiles refer to counts once."""

    def __init__(self) -> None:
        self._levels: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._errors: tuple[float, float] | None = None
        self._root: Json = {}
        self._asset: Json = {}
        self._used = set[str]()
        self._required = set[str]()

    def add_document(self, document: Json, *, is_root: bool) -> None:
        """Note what a `tileset.json` says of itself."""
        if is_root:
            self._root, self._asset = _object(document.get("root")), _object(document.get("asset"))
        for member, names in (("extensionsUsed", self._used), ("extensionsRequired", self._required)):
            names.update(_texts(document.get(member))[: MOST_EXTENSIONS - len(names)])

    def add_error(self, error: object, level: int = 0) -> None:
        """Note the geometric error of a tile so many levels below the one that states it; each level halves it."""
        if isinstance(error, (int, float)):
            value = float(error) / 2**level
            least, greatest = self._errors or (value, value)
            self._errors = min(least, value), max(greatest, value)

    def add_content(self, name: str, level: int) -> None:
        """Note the level of the first tile that refers to a content."""
        self._levels.setdefault(name, level)

    def add_kind(self, name: str, kind: str) -> None:
        """Note what a content turned out to be."""
        self._kinds[name] = kind

    def level_of(self, name: str) -> int:
        """The level of a content; 0 for a file that no tile refers to."""
        return self._levels.get(name, 0)

    def report(self, tiles: set[str], sizes: Mapping[str, int]) -> TilesetContent:
        """The report of the contents that are tiles.

        Args:
            tiles: Their names.
            sizes: Bytes of every file of the folder, by name.
        """
        extent, lengths = locate(self._root)
        largest = max(tiles, key=lambda name: (sizes[name], name), default=None)
        return TilesetContent(
            version=_text(self._asset.get("version")),
            tileset_version=_text(self._asset.get("tilesetVersion")),
            tiles=len(tiles),
            size=sum(sizes[name] for name in tiles),
            levels=dict(sorted(Counter(self.level_of(name) for name in tiles).items())),
            kinds=dict(sorted(Counter(self._kinds.get(name, "other") for name in tiles).items())),
            largest_tile=LargestTile(path=largest, size=sizes[largest]) if largest else None,
            least_geometric_error=self._errors[0] if self._errors else None,
            greatest_geometric_error=self._errors[1] if self._errors else None,
            extent=extent,
            dimensions=lengths,
            extensions_used=tuple(sorted(self._used)),
            extensions_required=tuple(sorted(self._required)),
        )


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item[:LONGEST_TEXT] for item in items if isinstance(item, str)]


def _text(value: object) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""
