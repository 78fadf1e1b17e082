"""Conversion of the platform's file names to names that are valid on every file system."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from blocks.bounds import MOST_FOLDERS

MANIFEST_NAME = "manifest.json"
LONGEST_NAME = 200
"""Maximum length in UTF-8 bytes; with suffixes it stays below the 255 of common file systems."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_UNSTORABLE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_LONGEST_SEGMENT = 255
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def is_reserved(name: str) -> bool:
    """True for the device names of Windows, with or without an extension."""
    return _RESERVED.fullmatch(name) is not None


def find_unstorable(paths: Iterable[str]) -> str | None:
    """The first of the relative paths that leaves its folder, is the manifest's or is not valid on every file system.

    Every result of `safe_name` is valid. Parts that several paths share are checked once.
    """
    valid = set[str]()
    for path in paths:
        segments = path.split("/")
        if len(segments) > MOST_FOLDERS or path.casefold() == MANIFEST_NAME:
            return path
        if not all(part in valid or _is_storable(part) for part in segments):
            return path
        valid.update(segments[:-1])
    return None


def _is_storable(segment: str) -> bool:
    return not (
        segment in {"", ".", ".."}
        or segment[-1] in ". "
        or _UNSTORABLE.search(segment)
        or is_reserved(segment)
        or len(segment.encode()) > _LONGEST_SEGMENT
    )


def safe_name(name: str) -> str:
    """A name derived from any text that has no folder part and is valid on every file system."""
    visible = "".join(
        "_" if unicodedata.category(character) in _INVISIBLE else character
        for character in unicodedata.normalize("NFC", name)
    )
    plain = _FORBIDDEN.sub("_", visible).strip(" ").rstrip(" .")
    return _prefix_if_reserved(_shorten(_prefix_if_reserved(plain))) if plain.strip(".") else "file"


def with_suffix(stem: str, suffix: str) -> str:
    """A result of `safe_name` with a suffix added; the stem is shortened so that the whole stays a safe name."""
    return f"{_cut(stem, LONGEST_NAME - len(suffix.encode())).rstrip(' .')}{suffix}"


def _prefix_if_reserved(name: str) -> str:
    is_taken = is_reserved(name) or name.casefold() == MANIFEST_NAME
    return f"_{name}" if is_taken else name


def _shorten(name: str) -> str:
    """Shorten a name to `LONGEST_NAME` by cutting its stem; keep the extension."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    suffix = _cut(PurePosixPath(name).suffix, 20)
    stem = _cut(name.removesuffix(suffix), LONGEST_NAME - len(suffix.encode()))
    return f"{stem.rstrip(' .')}{suffix}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
