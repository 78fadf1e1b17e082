"""Texts of other systems as they are shown: in a terminal, a log, a table or an artifact of the Prefect UI."""

import re

from blocks.bounds import LONGEST_NAME, LONGEST_TEXT

CUT = "…"
_MOVING = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control and escape characters, those that turn the direction of writing, and halves of surrogate pairs."""
_CONTROL = re.compile(f"[{_MOVING}]")
_NO_TEXT = re.compile(r"[\ud800-\udfff]")
_LINE_ENDS = re.compile(r"[\t\n\r]")
_LONG_WORD = re.compile(rf"(\S{{{LONGEST_NAME}}})\S+")
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~])")


def is_text(value: str) -> bool:
    """False where the operating system handed over bytes that are no UTF-8."""
    return not _NO_TEXT.search(value)


def without_controls(text: str) -> str:
    r"""The text with every character that a terminal would act upon written out, as `\x1b`; line ends stay."""
    return _CONTROL.sub(_written_out, text)


def shown(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text on one line without control characters, shortened."""
    start = text[: longest + 1]
    line = without_controls(_LINE_ENDS.sub(" ", start))
    return line if len(line) <= longest else line[: longest - 1] + CUT


def in_terminal(sentence: str) -> str:
    """A sentence on one line: control characters are escaped, long words and the middle of a long sentence are cut."""
    short = _LONG_WORD.sub(rf"\1{CUT}", _LINE_ENDS.sub(" ", sentence))
    half = LONGEST_TEXT // 2
    return without_controls(short if len(short) <= LONGEST_TEXT else f"{short[:half]} {CUT} {short[-half:]}")


def in_markdown(text: str) -> str:
    """A name or message as plain text of a markdown document: no link, picture, heading or HTML comes of it."""
    return _MARKDOWN.sub(r"\\\1", shown(text, LONGEST_NAME))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
