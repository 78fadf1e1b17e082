"""The text of an IFC file in pieces of whole instances, for searches with regular expressions.

ISO 10303-21 allows instances over several lines, several on one line, comments anywhere, and any character in strings.
In the masked text of a piece comments are blanks, and strings hold none of the characters that structure a file.
"""

import re
from collections.abc import Generator
from typing import BinaryIO, NamedTuple

from blocks.bounds import MIB

CHUNK = MIB // 4
"""Small enough for the processor's caches: larger ones take more time for each byte."""
LONGEST_INSTANCE = 64 * 1024
"""Of a longer instance that fills a chunk, so many bytes are kept together; the rest comes in pieces of its own."""
_MASK = bytes.maketrans(b"#=;", b"___")
_DISTURBING = re.compile(rb"[#=;]")
_TOKEN = re.compile(rb"'[^']*+'?|/\*.*?(?:\*/|\Z)", re.DOTALL)


class Piece(NamedTuple):
    """Whole instances; `masked` is as long as `raw`, character by character."""

    raw: bytes
    masked: bytes


def read_pieces(file: BinaryIO, chunk_size: int = CHUNK) -> Generator[Piece]:
    """The file from its start to its end; memory does not grow with the file, with its lines or with its instances."""
    mask = _Mask()
    raw = masked = b""
    while chunk := file.read(chunk_size):
        more = mask.apply(chunk)
        raw, masked = raw + more.raw, masked + more.masked
        end = masked.rfind(b";") + 1
        if end:
            yield Piece(raw[:end], masked[:end])
            raw, masked = raw[end:], masked[end:]
        elif len(masked) > 2 * LONGEST_INSTANCE:
            start = len(masked) - len(masked.lstrip())
            yield Piece(raw[:start], masked[:start])
            raw, masked = raw[start:], masked[start:]
            end = max(LONGEST_INSTANCE, len(masked.rstrip(b"#0123456789")))  # a reference stays whole
            yield Piece(raw[LONGEST_INSTANCE:end], masked[LONGEST_INSTANCE:end])
            raw, masked = raw[:LONGEST_INSTANCE] + raw[end:], masked[:LONGEST_INSTANCE] + masked[end:]
    yield Piece(raw, masked)


def _has_comment(text: bytes) -> bool:
    """Whether there is a `/*`; single characters are found much faster, and both are rare together."""
    return b"*" in text and b"/" in text and b"/*" in text


class _Mask:
    """Masks one chunk after the other, and knows whether a string or a comment is open at the end of each."""

    def __init__(self) -> None:
        self._open = self._held = b""

    def apply(self, chunk: bytes) -> Piece:
        """Mask a chunk; the first half of a `/*` or `*/` at its end is held back for the next one."""
        opened, raw = self._open, self._held + chunk
        is_plain = opened != b"/*" and not _has_comment(raw)
        self._open = self._held = b""
        masked = (self._plain if is_plain else self._with_comments)(opened + raw)[len(opened) :]
        if not self._open and masked.endswith(b"/"):
            self._held = b"/"
        end = len(raw) - len(self._held)
        return Piece(raw[:end], masked[:end])

    def _plain(self, text: bytes) -> bytes:
        """Without comments, every second part between apostrophes is a string."""
        parts = text.split(b"'")
        self._open = b"" if len(parts) % 2 else b"'"
        strings = b"'".join(parts[1::2])
        if not _DISTURBING.search(strings):
            return text
        parts[1::2] = strings.translate(_MASK).split(b"'")
        return b"'".join(parts)

    def _with_comments(self, text: bytes) -> bytes:
        return _TOKEN.sub(self._masked_token, text)

    def _masked_token(self, found: re.Match[bytes]) -> bytes:
        token = found[0]
        if token.startswith(b"'"):
            self._open = b"" if len(token) > 1 and token.endswith(b"'") else b"'"
            return token.translate(_MASK)
        if len(token) < len(b"/**/") or not token.endswith(b"*/"):
            self._open = b"/*"
            self._held = b"*" if len(token) > len(b"/*") and token.endswith(b"*") else b""
        return b" " * len(token)
