"""File names chosen by others, made safe for every file system this runs on."""

import re
import unicodedata
from pathlib import PurePosixPath

MANIFEST_NAME = "manifest.json"
LONGEST_NAME = 200
"""Bytes of UTF-8: leaves room for suffixes below the 255 of common file systems."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def is_reserved(name: str) -> bool:
    """True for names Windows keeps for devices, with or without an extension."""
    return _RESERVED.fullmatch(name) is not None


def safe_name(name: str) -> str:
    """Turn what the platform calls a file into a name that stays in its folder and opens everywhere."""
    visible = "".join(
        "_" if unicodedata.category(character) in _UNSEEN else character
        for character in unicodedata.normalize("NFC", name)
    )
    plain = _FORBIDDEN.sub("_", visible).strip(" ").rstrip(" .")
    return _guard(_shorten(_guard(plain))) if plain.strip(".") else "file"


def _guard(name: str) -> str:
    is_taken = is_reserved(name) or name.casefold() == MANIFEST_NAME
    return f"_{name}" if is_taken else name


def _shorten(name: str) -> str:
    """Cut the stem, keep the extension."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    suffix = _cut(PurePosixPath(name).suffix, 20)
    stem = _cut(name.removesuffix(suffix), LONGEST_NAME - len(suffix.encode()))
    return f"{stem.rstrip(' .')}{suffix}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
