"""Readers of what other systems send."""

import json

import pytest

from blocks.bounds import DEEPEST_JSON, LARGEST_JSON_IN_MEMORY, LONGEST_ANSWER
from blocks.errors import ForeignDataError
from blocks.foreign_data import (
    read_base64,
    read_etag,
    read_json,
    read_json_object,
    read_length,
    read_xml,
    split_url,
)

NESTED = {
    "arrays": (b"", b"[", b"]"),
    "objects": (b"", b'{"a":', b"0}"),
    "behind strings": (b'["\\"]]}}", ', b"[", b"]"),
}


def nested(kind: str, depth: int) -> bytes:
    start, opening, closing = NESTED[kind]
    inner = depth - bool(start)
    return start + opening * inner + closing + closing[-1:] * (depth - 1)


@pytest.mark.parametrize("kind", NESTED)
def test_json_is_read_to_a_stated_depth(kind: str) -> None:
    """A document as deep as the bound is read, a deeper one is refused, also one that is too deep for Python."""
    assert read_json(nested(kind, DEEPEST_JSON)) is not None
    for depth in (DEEPEST_JSON + 1, 100_000):
        with pytest.raises(ForeignDataError, match="nested more than"):
            read_json(nested(kind, depth))


def test_brackets_in_strings_do_not_count() -> None:
    """A text full of brackets, quotes and commas is one value."""
    text = '[{"\\:,' * 100_000
    assert read_json(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{\x00}\x00",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[1e999]",
        b"[%s]" % (b"9" * 5000),
        b"[0.%s]" % (b"9" * 5000),
        b'["\xed\xa0\x80"]',
        b'{"a": "unfinished',
        b'["\\',
        b"]" * 1000,
    ],
    ids=range(11),
)
def test_what_is_no_usable_json_is_refused(content: bytes) -> None:
    """Wrong encodings, numbers nobody can work with and cut-off text are one error of the family."""
    with pytest.raises(ForeignDataError):
        read_json(content)


@pytest.mark.parametrize(
    "content",
    [
        b"[%s]" % b",".join([b"0.5"] * (LARGEST_JSON_IN_MEMORY // 31)),
        b"[%s]" % b",".join([b"{}"] * (LARGEST_JSON_IN_MEMORY // 270)),
        b"{%s}" % b",".join(b'"%x":0' % number for number in range(LARGEST_JSON_IN_MEMORY // 200)),
        b'"%s"' % (b"a" * LONGEST_ANSWER),
    ],
    ids=["numbers", "objects", "members", "text"],
)
def test_json_that_would_fill_the_memory_is_refused(content: bytes) -> None:
    """More values than the memory should hold, or more bytes than an answer may have, are refused unparsed."""
    with pytest.raises(ForeignDataError, match=r"memory should hold|more than"):
        read_json(content)


def test_lone_surrogates_are_replaced() -> None:
    """A name with half of a surrogate pair stays a name that can be encoded; whole pairs stay what they are."""
    assert read_json_object(rb'{"name": "a\ud800b \ud83d\ude00 \\ud800"}') == {"name": "a�b 😀 \\ud800"}


def test_an_object_is_an_object() -> None:
    """Where an object is needed, other JSON is refused."""
    for content in (b"[]", b"null", b'"text"'):
        with pytest.raises(ForeignDataError, match="no JSON object"):
            read_json_object(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"<a>", b"<a>\xff</a>", b"<a>" * 900_000, b"<a/>" * 900_000, b"<a %s/>" % (b'b="" ' * 900_000)],
    ids=["nothing", "cut", "latin-1", "deep", "wide", "attributes"],
)
def test_what_is_no_usable_xml_is_refused(content: bytes) -> None:
    """Invalid, deep and wide XML is one error of the family."""
    with pytest.raises(ForeignDataError):
        read_xml(content)


def test_an_entity_bomb_is_refused() -> None:
    """Entities that grow to gigabytes are not expanded."""
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 100}">' for level in range(1, 9))
    with pytest.raises(ForeignDataError):
        read_xml(f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 100}">{entities}]><a>&e8;</a>'.encode())


@pytest.mark.parametrize("url", ["//[::1", "https://host:port/", "https://host:99999/", "//[v1.x]:1:"])
def test_an_invalid_url_is_refused(url: str) -> None:
    """Half an IPv6 address and an impossible port are one error of the family."""
    with pytest.raises(ForeignDataError):
        split_url(url)


def test_invalid_headers_are_read_as_missing() -> None:
    """Base64, lengths and ETags that are none, or outside ASCII, are missing."""
    assert [read_base64(text) for text in ("aGk=", "aGk", "aé==", "a\ud800")] == [b"hi", None, None, None]
    assert [read_length(text) for text in ("12", "٣", "²", "-1", "9" * 5000, "", None)] == [12] + [None] * 6
    assert [read_etag(text) for text in ('"a"', '"ä"', '"\ud800"', '"a\r\nb"', "", None)] == ['"a"'] + [None] * 5
