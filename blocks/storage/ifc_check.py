"""Is this file the IFC that was asked for? Told by its first and last bytes, whatever its size.

ISO 10303-21 (STEP physical file): the header names the schema, the last line closes the file.
"""

import re
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from blocks.disk import disk_errors
from blocks.errors import ContentError

_HEADER_SIZES = (64 * 1024, 4 * 1024 * 1024)
"""Bytes that hold the header nearly always, and those that always do."""
_TAIL_SIZES = (4096, 4 * 1024 * 1024)
"""Bytes that hold the last line nearly always, and those that hold it before signatures and comments."""
_BLOCK = 64 * 1024
_PADDING = b" \t\r\n\x0b\x0c\x00\x1a"
"""Blanks, the NULs of page blobs and preallocated files, the end-of-file mark of DOS (Ctrl-Z)."""
_BOM = b"\xef\xbb\xbf"
_MARK = re.compile(rb"'|/\*|;")
_SCHEMA = re.compile(rb"FILE_SCHEMA\(\('([^']*)'", re.IGNORECASE)
_LAST_WORD = b"END-ISO-10303-21"
_END = re.compile(
    rb"END-ISO-10303-21\s*;(?:[\s\x00\x1a]++|/\*.*?\*/|SIGNATURE\b.*?\bENDSEC\s*;)*+\Z", re.DOTALL | re.IGNORECASE
)
"""The last line; after it blanks, comments and signature sections (ISO 10303-21:2016, 15) may stand."""
_LAST_WORDS = 5
"""How many of them are tried: a comment after the last line may hold the words too."""
_EDITION = re.compile(r"(IFC2X3|IFC4)(_(TC|ADD)\d|_FINAL)+")
"""A corrigendum, an addendum or the final text of a schema, as in `IFC4_ADD2_TC1`: files name it now and then."""
_AGAIN = "Export it again with force."


def check_ifc(path: Path, ifc_version: str) -> str:
    """Hold the file's head, tail and schema against the version asked for; returns the schema it names.

    Args:
        path: The file.
        ifc_version: As the Export API spells it: `IFC4.3`, `IFC2x3`, `IFC2x3 CV 2.0`, `IFC4 RV 1.2`.

    Raises:
        ContentError: It is no IFC, not whole, or of another version.
    """
    with disk_errors(path.parent):
        header = _read_header(path)
        tail = _read_tail(path)
    if header[:1] != [b"ISO-10303-21"]:
        raise ContentError(f"{path.name} is not an IFC file: it does not begin with ISO-10303-21. {_AGAIN}")
    if not _is_closed(tail):
        raise ContentError(f"{path.name} is cut off: END-ISO-10303-21 is missing at its end. {_AGAIN}")
    schema = _schema_of(header)
    if not schema:
        raise ContentError(f"{path.name} names no schema in its header. {_AGAIN}")
    if not fits(schema, ifc_version):
        raise ContentError(f"{path.name} is {schema}, but {ifc_version} was asked for. {_AGAIN}")
    return schema


def fits(schema: str, ifc_version: str) -> bool:
    """Whether a schema name belongs to a version of the Export API (`IFC4X3_ADD2` to `IFC4.3`)."""
    found, asked = schema.upper(), ifc_version.upper()
    if asked.startswith("IFC4.3"):
        return found.startswith("IFC4X3")
    edition = _EDITION.fullmatch(found)
    return (edition[1] if edition else found) == asked.split(" ", maxsplit=1)[0]


def _read_header(path: Path) -> list[bytes]:
    statements: list[bytes] = []
    with path.open("rb") as file:
        for size in _HEADER_SIZES:
            file.seek(0)
            statements = list(_statements(file.read(size).removeprefix(_BOM)))
            if b"ENDSEC" in statements or statements[:1] != [b"ISO-10303-21"]:
                break
    return statements


def _read_tail(path: Path) -> bytes:
    """The last bytes that are no padding."""
    tail = b""
    with path.open("rb") as file:
        end = _end_of_text(file, path.stat().st_size)
        for size in _TAIL_SIZES:
            start = max(0, end - size)
            file.seek(start)
            tail = file.read(end - start)
            if _is_closed(tail):
                break
    return tail


def _end_of_text(file: BinaryIO, size: int) -> int:
    """Where the padding at the end begins."""
    while size > 0:
        start = max(0, size - _BLOCK)
        file.seek(start)
        if text := file.read(size - start).rstrip(_PADDING):
            return start + len(text)
        size = start
    return 0


def _is_closed(tail: bytes) -> bool:
    words, position = tail.upper(), len(tail)
    for _ in range(_LAST_WORDS):
        position = words.rfind(_LAST_WORD, 0, position)
        if position < 0:
            return False
        if _END.match(tail, position):
            return True
    return False


def _statements(header: bytes) -> Generator[bytes]:
    """What stands between semicolons, up to the header's end; comments and blanks outside quotes are gone.

    Steps from mark to mark and never back, so that no header, however odd, costs more than reading it.
    """
    words: list[bytes] = []
    position = 0
    while mark := _MARK.search(header, position):
        words.extend(header[position : mark.start()].split())
        position = mark.end()
        if mark[0] == b";":
            statement = b"".join(words)
            words = []
            yield statement
            if statement == b"ENDSEC":
                return
            continue
        closing = b"'" if mark[0] == b"'" else b"*/"
        end = header.find(closing, position)
        if end < 0:
            return
        position = end + len(closing)
        if closing == b"'":
            words.append(header[mark.start() : position])


def _schema_of(header: list[bytes]) -> str:
    matches = (_SCHEMA.match(statement) for statement in header)
    return next((match[1].strip().decode("ascii", "replace") for match in matches if match), "")
