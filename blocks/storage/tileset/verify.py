"""Check that a tileset on the disk is complete: all referenced files exist and have the right type."""

import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blocks.disk import disk_errors
from blocks.errors import ContentError
from blocks.shared_folder import walk
from blocks.storage.content.models import TilesetContent
from blocks.storage.tileset.references import ROOT, ReferenceCrawler
from blocks.storage.tileset.tile_content import HEADER, TileFile

_BINARY_SUFFIXES = frozenset({".glb", ".b3dm", ".i3dm", ".pnts", ".cmpt"})
_AGAIN = "The host has it like that: have the tiles made anew with start=always."


@dataclass(frozen=True, slots=True)
class CheckedTileset:
    """A complete tileset: what its references lead to, whatever the endings of the files, and warnings."""

    content: TilesetContent
    warnings: tuple[str, ...]


def verify_tileset(
    folder: Path, sizes: Mapping[str, int] | None = None, elsewhere: Mapping[str, int] | None = None
) -> CheckedTileset:
    """Check that every file that `tileset.json` refers to exists, and that each file begins with a valid header.

    Args:
        folder: Where `tileset.json` lies.
        sizes: Length each file must have, by name; files not named may be there.
        elsewhere: Lengths of files that belong to the tileset and are not in the folder; they are not opened.

    Raises:
        ContentError: Names the first file that is missing, short or not what it should be.
    """
    with disk_errors(folder):
        found = dict(_files(folder))
        for name, size in (sizes or {}).items():
            _require(found, name, size)
        padded = [name for name in found if _check_head(TileFile(name, f"{folder}/{name}"))]
        content = _check_references(folder, found, elsewhere or {})
    return CheckedTileset(content, (_about_padding(padded),) if padded else ())


def _about_padding(names: list[str]) -> str:
    """Readers take the length from the header and pass over the rest."""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{min(names)}{others} of the tileset: longer than declared in the file. The extra bytes are no part of it."


def _check_references(folder: Path, here: Mapping[str, int], elsewhere: Mapping[str, int]) -> TilesetContent:
    _require(here, ROOT)
    crawler = ReferenceCrawler(lambda name: TileFile(name, f"{folder}/{name}") if name in here else None)
    crawler.advance()
    found = {**elsewhere, **here}
    for name in elsewhere:
        crawler.statistics.add_kind(name, name.rpartition(".")[2].lower())
    if missing := crawler.names - found.keys():
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ContentError(f"The tileset lacks {min(missing)}{more}, though it refers to it. {_AGAIN}")
    if not crawler.contents:
        raise ContentError(
            "The tileset is empty: it refers to no content. The iModel has no geometry in this changeset, so there "
            "are no tiles to export."
        )
    if empty := next((name for name in sorted(crawler.names) if not found[name]), None):
        raise ContentError(f"{empty} of the tileset has no bytes. {_AGAIN}")
    return crawler.statistics.report(crawler.contents - crawler.tilesets, found)


def _files(folder: Path) -> Generator[tuple[str, int]]:
    start = len(os.fspath(folder)) + 1
    for entry in walk(folder):
        if entry.is_file(follow_symlinks=False):
            yield entry.path[start:].replace(os.sep, "/"), entry.stat(follow_symlinks=False).st_size


def _require(found: Mapping[str, int], name: str, size: int | None = None) -> None:
    if name not in found:
        raise ContentError(f"The tileset lacks {name}. {_AGAIN}")
    if size is not None and found[name] != size:
        raise ContentError(f"{name} of the tileset has {found[name]} bytes instead of {size}. {_AGAIN}")


def _check_head(file: TileFile) -> bool:
    """Binary tiles say how long they are; returns whether more follows."""
    declared = file.declared_size
    if declared is None:
        suffix = os.path.splitext(file.name)[1].lower()  # noqa: PTH122  five times faster than a Path, for each tile
        if suffix in _BINARY_SUFFIXES:
            is_short = file.size < HEADER.size
            what = "is cut off" if is_short else f"is no {suffix[1:]} file nor any other tile"
            raise ContentError(f"{file.name} of the tileset {what}. {_AGAIN}")
        return False
    if declared > file.size:
        raise ContentError(f"{file.name} of the tileset has {file.size} bytes but declares {declared}. {_AGAIN}")
    return declared < file.size
