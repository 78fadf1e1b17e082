"""Checks the JSON of a mapping file before it is sent.

The platform says that a mapping file does not parse only in the log of a failed run, hours later
(https://communities.bentley.com/products/digital-twin-cloud-services/itwin-services/f/itwin-services-forum/240996).
Only parts of the format are documented, so what parses is never refused: anything odd is a warning, see
`tasks.ifc.mapping_rows`.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache

from blocks.errors import ForeignDataError, InputError
from blocks.foreign_data import require_bounded
from tasks.ifc.mapping_rows import find_oddities

LARGEST_MAPPING = 20 * 1024 * 1024
"""Largest mapping file in bytes, a limit of this program; the vendor's default mapping file has less than 1 MB."""
_BOM = b"\xef\xbb\xbf"
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]++|\\.)*+"?|/\*.*?(?:\*/|\Z)', re.DOTALL)
"""Also those without an end, so that the text is gone through once."""
_VISIBLE = re.compile(r"[^\r\n]+")


@dataclass(frozen=True)
class CheckedMapping:
    """A mapping file that parses; `content` is what is handed over."""

    content: bytes
    warnings: tuple[str, ...]

    @property
    def version(self) -> str:
        """Identifies the content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def check_mapping(content: bytes, name: str, ifc_version: str) -> CheckedMapping:
    """Check the content of a mapping file; a byte order mark is left out, comments stay.

    Args:
        content: At most `LARGEST_MAPPING` bytes, else it is refused.
        name: What the messages call the file.
        ifc_version: Version of the IFC schema that is asked for.

    Raises:
        InputError: It is no JSON in UTF-8; the message says where and what to do.
    """
    if len(content) > LARGEST_MAPPING:
        raise too_large(name)
    plain = content.removeprefix(_BOM)
    document = _parse(_decode(plain, name), name)
    warnings = tuple(f"Mapping file {name}: {oddity}" for oddity in find_oddities(document, ifc_version))
    return CheckedMapping(plain, warnings)


def too_large(name: str) -> InputError:
    """The error for a mapping file of more than `LARGEST_MAPPING` bytes."""
    return InputError(
        f"The mapping file {name} has more than {LARGEST_MAPPING // 1024**2} MB. Check that it is the right file."
    )


def _decode(content: bytes, name: str) -> str:
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in content[:4]:
        raise InputError(f"The mapping file {name} is in UTF-16. Save it in UTF-8, then run the same again.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"The mapping file {name} is not in UTF-8: line {line} has the byte 0x{content[error.start]:02x}. Save it "
            f"in UTF-8, then run the same again."
        ) from None


def _parse(text: str, name: str) -> object:
    plain = _without_comments(text)
    try:
        require_bounded(plain.encode())
        return json.loads(plain)
    except json.JSONDecodeError as error:
        hint = _hint(plain, error)
        raise InputError(
            f"The mapping file {name} is no valid JSON: line {error.lineno}, column {error.colno}: {hint}"
        ) from None
    except (ForeignDataError, RecursionError, ValueError) as error:
        raise InputError(f"The mapping file {name} cannot be read as JSON ({error}). Check that file.") from None


def _without_comments(text: str) -> str:
    """Blanks in place of comments, so that lines and columns stay the same."""
    if "/*" not in text:
        return text
    return _STRING_OR_COMMENT.sub(lambda found: _blank(found[0]) if _is_comment(found[0]) else found[0], text)


def _is_comment(text: str) -> bool:
    return text.startswith("/*") and text.endswith("*/", 2)


def _blank(text: str) -> str:
    return _VISIBLE.sub(lambda found: _spaces(len(found[0])), text)


@lru_cache
def _spaces(count: int) -> str:
    """The same object for each call: millions of new ones would take half a gigabyte."""
    return " " * count


def _hint(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong there, and what to do."""
    before, here = text[: error.pos].rstrip(), text[error.pos : error.pos + 1]
    if "escape" in error.msg:
        return "a backslash in a text must be written twice, as in “Linear\\\\Utility” or “C:\\\\Users”."
    if text[error.pos : error.pos + 2] in {"//", "/*"}:
        return "comments must be written as /* … */."
    if "trailing comma" in error.msg or (before.endswith(",") and here in {"}", "]"}):
        return "there is a comma after the last entry. Remove it."
    if not here:
        return "the file ends before its JSON does. A bracket or quotation mark is missing."
    if "Extra data" in error.msg:
        return "the JSON has already ended there. Remove what follows, or a bracket too many before it."
    return f"{error.msg[0].lower()}{error.msg[1:]}. Correct it there, or just before."
