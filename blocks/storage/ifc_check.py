"""Check that a file is a complete IFC of the requested version, from its first and last bytes.

ISO 10303-21 (STEP physical file): the header names the schema, the last line closes the file.
"""

import re
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from blocks.disk import disk_errors
from blocks.errors import ContentError

_HEADER_SIZES = (64 * 1024, 4 * 1024 * 1024)
"""Bytes read to find the header: enough for nearly all files, then enough for all."""
_TAIL_SIZES = (4096, 4 * 1024 * 1024)
"""Bytes read to find the last line: for nearly all files, then for those with signatures and comments."""
_BLOCK = 64 * 1024
_PADDING = b" \t\r\n\x0b\x0c\x00\x1a"
"""White space, NULs (page blobs and preallocated files) and the DOS end-of-file character (Ctrl-Z)."""
_BOM = b"\xef\xbb\xbf"
_MARK = re.compile(rb"'|/\*|;")
_SCHEMA = re.compile(rb"FILE_SCHEMA\(\('([^']*)'", re.IGNORECASE)
_LAST_WORD = b"END-ISO-10303-21"
_END = re.compile(
    rb"END-ISO-10303-21\s*;(?:[\s\x00\x1a]++|/\*.*?\*/|SIGNATURE\b.*?\bENDSEC\s*;)*+\Z", re.DOTALL | re.IGNORECASE
)
"""The last line, optionally followed by blanks, comments and signature sections (ISO 10303-21:2016, 15)."""
_MAX_LAST_WORDS = 5
"""Maximum number of occurrences tried: a comment after the last line may contain the same text."""
_EDITION = re.compile(r"(IFC2X3|IFC4)(_(TC|ADD)\d|_FINAL)+")
"""A schema name with a corrigendum, addendum or FINAL suffix, as in `IFC4_ADD2_TC1`; some exporters write it."""
_AGAIN = "Run the same command again: it has the platform make a new file."
_OTHER_VERSION = (
    "The platform has made another version than it was asked for, and would again: ask its support about this run."
)


def check_ifc(path: Path, ifc_version: str) -> str:
    """Check the file's header, last line and schema; returns the schema named in its header.

    Args:
        path: The file.
        ifc_version: The version, spelled as in the Export API: `IFC4.3`, `IFC2x3`, `IFC2x3 CV 2.0`, `IFC4 RV 1.2`.

    Raises:
        ContentError: It is not an IFC file, it is incomplete, or it has another version.
    """
    with disk_errors(path.parent):
        header = read_header(path)
        tail = _read_tail(path)
    if header[:1] != [b"ISO-10303-21"]:
        raise ContentError(f"{path.name} is not an IFC file: it does not begin with ISO-10303-21. {_AGAIN}")
    if not _is_closed(tail):
        raise ContentError(f"{path.name} is cut off: END-ISO-10303-21 is missing at its end. {_AGAIN}")
    schema = schema_of(header)
    if not schema:
        raise ContentError(f"{path.name} names no schema in its header. {_AGAIN}")
    if not fits(schema, ifc_version):
        raise ContentError(f"{path.name} is {schema}, but {ifc_version} was asked for. {_OTHER_VERSION}")
    return schema


def fits(schema: str, ifc_version: str) -> bool:
    """True if a schema name belongs to a version of the Export API, as `IFC4X3_ADD2` to `IFC4.3`."""
    found, asked = schema.upper(), ifc_version.upper()
    if asked.startswith("IFC4.3"):
        return found.startswith("IFC4X3")
    edition = _EDITION.fullmatch(found)
    return (edition[1] if edition else found) == asked.split(" ", maxsplit=1)[0]


def read_header(path: Path) -> list[bytes]:
    """The statements of the header, without comments and without white space outside quotes."""
    statements: list[bytes] = []
    with path.open("rb") as file:
        for size in _HEADER_SIZES:
            file.seek(0)
            statements = list(_statements(file.read(size).removeprefix(_BOM)))
            if b"ENDSEC" in statements or statements[:1] != [b"ISO-10303-21"]:
                break
    return statements


def _read_tail(path: Path) -> bytes:
    """The last bytes before the padding."""
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
    """The offset of the padding at the end of the file."""
    while size > 0:
        start = max(0, size - _BLOCK)
        file.seek(start)
        if text := file.read(size - start).rstrip(_PADDING):
            return start + len(text)
        size = start
    return 0


def _is_closed(tail: bytes) -> bool:
    words, position = tail.upper(), len(tail)
    for _ in range(_MAX_LAST_WORDS):
        position = words.rfind(_LAST_WORD, 0, position)
        if position < 0:
            return False
        if _END.match(tail, position):
            return True
    return False


def _statements(header: bytes) -> Generator[bytes]:
    """The statements of the header, without comments and without white space outside quotes.

    A single forward pass, so that the time is linear in the header's length for any content.
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


def schema_of(header: list[bytes]) -> str:
    """The schema that the header names; empty if it names none."""
    matches = (_SCHEMA.match(statement) for statement in header)
    return next((match[1].strip().decode("ascii", "replace") for match in matches if match), "")
