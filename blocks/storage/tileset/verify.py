"""Is the tileset on the disk whole: what is referred to is there, what is there is what its name says."""

import os
import struct
from collections.abc import Generator, Mapping
from pathlib import Path

from blocks.disk import disk_errors
from blocks.errors import ContentError
from blocks.storage.tileset.references import ROOT, ReferenceCrawler, parse_json

_MAGIC = {".glb": b"glTF", ".b3dm": b"b3dm", ".i3dm": b"i3dm", ".pnts": b"pnts", ".cmpt": b"cmpt"}
_HEADER = struct.Struct("<4sII")
"""Magic, version, length of the whole file: alike in GLB and the older tile formats."""
_GLB_START = struct.Struct("<4sIIII")
_LARGEST_CHUNK = 64 * 1024 * 1024
_AGAIN = "Export it again with force."


def verify_tileset(folder: Path, sizes: Mapping[str, int] | None = None) -> None:
    """Walk the tileset from `tileset.json`, and look at the head of every file.

    Args:
        folder: Where `tileset.json` lies.
        sizes: Length each file must have, by name; files not named may be there.

    Raises:
        ContentError: Names the first file that is missing, short or not what it should be.
    """
    with disk_errors(folder):
        found = dict(_files(folder, ""))
        for name, size in (sizes or {}).items():
            _require(found, name, size)
        for name, size in found.items():
            _check_head(folder, name, size)
        _check_references(folder, found)


def _check_references(folder: Path, found: Mapping[str, int]) -> None:
    _require(found, ROOT)
    walk = ReferenceCrawler(lambda name: _document(folder, name) if name in found else None)
    walk.advance()
    if missing := walk.names - found.keys():
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ContentError(f"The tileset lacks {min(missing)}{more}, though it refers to it. {_AGAIN}")
    if not walk.contents:
        raise ContentError(f"The tileset is empty: it refers to no content. {_AGAIN}")
    if empty := next((name for name in sorted(walk.names) if not found[name]), None):
        raise ContentError(f"{empty} of the tileset has no bytes. {_AGAIN}")


def _files(folder: Path, prefix: str) -> Generator[tuple[str, int]]:
    with os.scandir(folder / prefix) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(folder, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry.stat().st_size


def _require(found: Mapping[str, int], name: str, size: int | None = None) -> None:
    if name not in found:
        raise ContentError(f"The tileset lacks {name}. {_AGAIN}")
    if size is not None and found[name] != size:
        raise ContentError(f"{name} of the tileset has {found[name]} bytes instead of {size}. {_AGAIN}")


def _check_head(folder: Path, name: str, size: int) -> None:
    """Binary tiles say how long they are; documents must parse."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  five times faster than a Path, for each tile
    if suffix in {".json", ".gltf"}:
        parse_json(name, (folder / name).read_bytes())
    elif suffix in _MAGIC:
        with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123  the same
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise ContentError(f"{name} of the tileset is cut off. {_AGAIN}")
        magic, _, length = _HEADER.unpack(head)
        if magic != _MAGIC[suffix]:
            raise ContentError(f"{name} of the tileset is no {suffix[1:]} file. {_AGAIN}")
        if length != size:
            raise ContentError(f"{name} of the tileset has {size} bytes but declares {length}. {_AGAIN}")


def _document(folder: Path, name: str) -> bytes:
    """A document, or of a GLB the part that may name other files."""
    if not name.lower().endswith(".glb"):
        return (folder / name).read_bytes()
    with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123  for each tile
        head = file.read(4096)
        size = _GLB_START.unpack_from(head)[3] if len(head) >= _GLB_START.size else 0
        rest = min(size, _LARGEST_CHUNK) + _GLB_START.size - len(head)
        return head + file.read(rest) if rest > 0 else head
