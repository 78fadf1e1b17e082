"""Readers of what other systems send: JSON, XML, URLs, Base64 and header values.

Whatever is invalid or beyond a bound of `blocks.bounds` ends in a `ForeignDataError`, or is read as missing where a
header may be missing.
"""

import base64
import json
import math
import re
from itertools import accumulate
from string import printable
from typing import Any, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from xml.etree import ElementTree as ET

from blocks.bounds import (
    DEEPEST_JSON,
    LARGEST_JSON_IN_MEMORY,
    LONGEST_ANSWER,
    LONGEST_HEADER,
    LONGEST_LISTING_PAGE,
    LONGEST_NUMBER,
    LONGEST_URL,
    MOST_XML_MARKS,
)
from blocks.errors import ForeignDataError

Json = dict[str, Any]

_NO_STRUCTURE = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+"?|[^"\[\]{}]++)++', re.DOTALL)
_URL_CHARACTERS = printable.strip()
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DICT_BYTES, _LIST_BYTES, _VALUE_BYTES, _KEY_BYTES = 240, 100, 32, 180
"""Of CPython 3.11, 64 bits: an object with up to five members, an array, a number in it, each further member."""
_MEMBERS_INCLUDED = 5
_MOST_DIGITS = 18
"""Digits of a length in a header; 999 petabytes."""


def read_json(content: bytes, longest: int = LONGEST_ANSWER) -> object:
    """The value of a JSON document in UTF-8; lone surrogates in its strings become U+FFFD.

    Args:
        content: The document; a byte-order mark is passed over.
        longest: The most bytes it may have.

    Raises:
        ForeignDataError: It is invalid, or too long, too deep or too large for the memory.
    """
    if len(content) > longest:
        raise ForeignDataError(f"it has more than {longest} bytes")
    require_bounded(content)
    try:
        value: object = json.loads(
            content.decode("utf-8-sig"), parse_int=_integer, parse_float=_number, parse_constant=_number
        )
        return _without_surrogates(value) if _SURROGATE.search(content) else value
    except (ValueError, RecursionError):
        raise ForeignDataError("it is no valid JSON") from None


def read_json_object(content: bytes, longest: int = LONGEST_ANSWER) -> Json:
    """As `read_json`, for a document that has to be an object."""
    value = read_json(content, longest)
    if not isinstance(value, dict):
        raise ForeignDataError("it is no JSON object")
    return cast("Json", value)


def require_bounded(content: bytes) -> None:
    """Refuse JSON that is nested too deeply or would take too much memory, without parsing it.

    The estimate counts marks in strings too, which is cheap, and rarely more than there are outside of strings.

    Raises:
        ForeignDataError: It is so.
    """
    dicts, members = content.count(b"{"), content.count(b":")
    estimate = dicts * _DICT_BYTES + content.count(b"[") * _LIST_BYTES + content.count(b",") * _VALUE_BYTES
    estimate += max(0, members - dicts * _MEMBERS_INCLUDED) * _KEY_BYTES
    if estimate > LARGEST_JSON_IN_MEMORY:
        raise ForeignDataError("it has more values than the memory should hold")
    brackets = _NO_STRUCTURE.sub(b"", content)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEEPEST_JSON:
        raise ForeignDataError(f"it is nested more than {DEEPEST_JSON} levels deep")


def read_xml(content: bytes) -> ET.Element:
    """The root of an XML document in UTF-8.

    Raises:
        ForeignDataError: It is invalid, too long, has too many parts, or declares a document type.
    """
    if b"<!DOCTYPE" in content:
        raise ForeignDataError("it declares a document type (<!DOCTYPE>), with which it could expand without end")
    if len(content) > LONGEST_LISTING_PAGE or content.count(b"<") + content.count(b"=") > MOST_XML_MARKS:
        raise ForeignDataError(f"it has more than {LONGEST_LISTING_PAGE} bytes or {MOST_XML_MARKS} tags and attributes")
    try:
        return ET.fromstring(content.decode("utf-8-sig"))  # expat stops entity bombs  # noqa: S314  # nosec B314
    except (ET.ParseError, ValueError):
        raise ForeignDataError("it is no valid XML") from None


def split_url(url: str) -> SplitResult:
    """The parts of a URL or a relative reference; its port is valid.

    Raises:
        ForeignDataError: It is invalid, such as `//[::1`.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ForeignDataError("it is no valid URL") from None
    return parts


def web_address(link: str, base: str = "") -> str:
    """A link made absolute and percent-encoded; empty if it is invalid, too long or none of HTTP."""
    try:
        url = quote(urljoin(base, link), safe=_URL_CHARACTERS, errors="replace")
        is_usable = split_url(url).scheme in {"http", "https"} and len(url) <= LONGEST_URL
    except (ValueError, ForeignDataError):
        return ""
    return url if is_usable else ""


def read_base64(text: str) -> bytes | None:
    """The bytes of a text in Base64; None if it is invalid."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def read_length(text: str | None) -> int | None:
    """A length in a header or listing; None if it is missing, no whole number or impossibly large."""
    is_length = text is not None and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if text and is_length else None


def read_etag(text: str | None) -> str | None:
    """An ETag that may be sent back in a header; None if it is missing, too long or not printable ASCII."""
    is_usable = text is not None and text.isascii() and text.isprintable() and 0 < len(text) <= LONGEST_HEADER
    return text if is_usable else None


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    """A finite float: `NaN` and `Infinity` are no JSON, and `1e999` is no number that can be worked with."""
    number = float(text) if len(text) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(number):
        raise ValueError
    return number


def _without_surrogates(value: object) -> object:
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
