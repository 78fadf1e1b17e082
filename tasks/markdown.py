"""Markdown of the pages in the Prefect UI; texts of others come in through `text`, `code` and `link` only."""

import re
from collections.abc import Iterable, Sequence

from blocks.bounds import LONGEST_NAME
from blocks.shown_text import in_markdown, shown

MOST_ROWS = 50
"""Rows of a table, and items of a list."""


_CUT_ADDRESS = re.compile(r"(https?://[^\s\\]*\?…)")


def text(value: object) -> str:
    """A text with its markdown characters escaped, shortened to 500 characters; an address that is cut is no link."""
    return _CUT_ADDRESS.sub(r"`\1`", in_markdown(str(value)))


def code(value: object) -> str:
    """An id, a path or a name in a typewriter font."""
    line = shown(str(value), LONGEST_NAME)
    return text(value) if not line.strip() or "`" in line or "|" in line else f"`{line}`"


def link(words: str, address: str) -> str:
    """A link; only its words if there is no address."""
    for sign in "()|<>\\":
        address = address.replace(sign, f"%{ord(sign):02X}")
    return f"[{text(words)}]({address})" if address else text(words)


def articles(addresses: Iterable[str]) -> str:
    """Links to the platform's articles, to be put behind a sentence."""
    return "".join(f" {link('Read more in the knowledge base', address)}." for address in addresses)


def command(words: str) -> str:
    """A command on a line of its own, to be copied; an indented block, which nothing in it can end."""
    return f"    {shown(words)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], most: int = MOST_ROWS) -> str:
    """A table of cells that are markdown already; rows beyond `most` are counted."""
    every = [*rows]
    lines = [header, ["---"] * len(header), *every[:most]]
    drawn = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{drawn}{_left_out(len(every) - most)}"


def items(sentences: Iterable[str], most: int = MOST_ROWS) -> str:
    """A list of sentences that are markdown already."""
    every = [*sentences]
    return "\n".join(f"* {sentence}" for sentence in every[:most]) + _left_out(len(every) - most)


def document(*parts: str) -> str:
    """The parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part)


def section(title: str, *parts: str) -> str:
    """Parts under a title; empty if there is none."""
    body = document(*parts)
    return f"## {title}\n\n{body}" if body else ""


def _left_out(count: int) -> str:
    return f"\n\n… and {count} more." if count > 0 else ""
