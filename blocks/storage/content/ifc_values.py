"""Values in an IFC file: attributes of an instance, and strings with their escapes (ISO 10303-21, 6.4.3)."""

import math
import re

from blocks.storage.content.ifc_text import Piece

LONGEST_TEXT = 500
_ESCAPE = re.compile(
    r"\\X2\\((?:[0-9A-F]{4})*)\\X0\\|\\X4\\((?:[0-9A-F]{8})*)\\X0\\|\\X\\([0-9A-F]{2})|\\S\\(.)|\\P[A-I]\\|''|\\\\",
    re.IGNORECASE,
)
_TOKEN = re.compile(rb"'[^']*'|[(),]")
_REFERENCE = re.compile(rb"#(\d{1,15})")
_STEPS = {b"(": 1, b")": -1}


def split_attributes(arguments: Piece) -> list[bytes]:
    """The attributes between the parentheses of an instance, as written; comments beside them are left out."""
    depth, start, spans = 0, 0, list[tuple[int, int]]()
    for token in _TOKEN.finditer(arguments.masked):
        depth += _STEPS.get(token[0], 0)
        if depth == 0 and token[0] == b",":
            spans.append((start, token.start()))
            start = token.end()
    spans.append((start, len(arguments.masked)))
    return [_value(arguments, start, end) for start, end in spans]


def _value(arguments: Piece, start: int, end: int) -> bytes:
    masked = arguments.masked[start:end]
    if b"'" not in masked:
        return masked.strip()
    left = start + len(masked) - len(masked.lstrip())
    return arguments.raw[left : left + len(masked.strip())]


def read_text(value: bytes) -> str:
    """The text of a string attribute; empty for any other, and cut if it is very long."""
    if len(value) < 2 or value[:1] != b"'" or value[-1:] != b"'":
        return ""
    return _ESCAPE.sub(_unescaped, value[1:-1].decode("utf-8", "replace"))[:LONGEST_TEXT]


def read_enumeration(value: bytes) -> str:
    """The name of an enumeration value, METRE of `.METRE.`; empty for any other."""
    return value.strip(b".").decode("ascii", "replace").upper() if value.startswith(b".") else ""


def read_number(value: bytes) -> float | None:
    """A number, also one with its type: `IFCLENGTHMEASURE(5.)`; None for any other."""
    try:
        number = float(value.rpartition(b"(")[2].rstrip(b") "))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_reference(value: bytes) -> int | None:
    """The number of the instance an attribute refers to."""
    found = _REFERENCE.fullmatch(value)
    return int(found[1]) if found else None


def _unescaped(found: re.Match[str]) -> str:
    two, four, one, shifted = found.groups()
    if two is not None:
        return bytes.fromhex(two).decode("utf-16-be", "replace")
    if four is not None:
        return bytes.fromhex(four).decode("utf-32-be", "replace")
    if one is not None:
        return chr(int(one, 16))
    if shifted is not None:
        return chr((ord(shifted) + 128) % 256)
    return {"''": "'", "\\\\": "\\"}.get(found[0], "")
