"""IDS documents as others wrote them."""

import pytest

from blocks.bounds import LONGEST_IDS
from blocks.errors import InputError
from blocks.storage.acceptance.ids.documents import holds_text, read_document
from blocks.storage.acceptance.rules import GivenRules, Rules
from tests.blocks.storage.acceptance.ids_texts import PASSING

START = '<?xml version="1.0"?>'
BOMB = f'{START}<!DOCTYPE ids [<!ENTITY a "{"x" * 100}"><!ENTITY b "{"&a;" * 100}">]><ids>{"&b;" * 1000}</ids>'
EXTERNAL = f'{START}<!DOCTYPE ids [<!ENTITY secret SYSTEM "file:///etc/passwd">]><ids>&secret;</ids>'
DTD = f'{START}<!DOCTYPE ids SYSTEM "http://127.0.0.1:9/ids.dtd">{PASSING.split("?>", 1)[1]}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB.encode(), "declares a document type"),
        (EXTERNAL.encode(), "declares a document type"),
        (DTD.encode(), "declares a document type"),
        (EXTERNAL.encode("utf-16"), "no valid XML"),
        (EXTERNAL.encode("cp037"), "no valid XML"),
        (b"ISO-10303-21;", "no valid XML"),
        (b"", "no valid XML"),
        (b"<html/>", "no IDS document"),
        (b"<ids/>", "no IDS document"),
        (PASSING.encode() + b" " * LONGEST_IDS, "more than 4194304 bytes"),
    ],
)
def test_what_is_no_safe_document_is_refused(content: bytes, words: str) -> None:
    """A document with a DTD, of another kind, or too long is refused with one sentence that names it."""
    with pytest.raises(InputError, match=f"^The IDS document agreed.ids .*{words}") as refused:
        read_document("agreed.ids", content)
    assert "passwd" not in str(refused.value)


def test_a_document_is_read_as_utf_8() -> None:
    """The declaration is left out with the encoding that it names, and so is a byte order mark."""
    for content in (PASSING.encode(), b"\xef\xbb\xbf" + PASSING.encode(), PASSING.replace("UTF-8", "cp037").encode()):
        assert read_document("a", content).text.lstrip().startswith("<ids ")


def test_entries_are_texts_or_names() -> None:
    """What begins with a tag is a document, anything else the name of one; what was read is not missing."""
    assert holds_text(PASSING)
    assert holds_text("\n  <ids/>")
    assert not holds_text("agreed.ids")
    rules = Rules(ids=("a.ids", PASSING, "b.ids"))
    given = GivenRules(source="rules.toml", rules=rules, documents=(read_document("a.ids", PASSING.encode()),))
    assert given.missing_documents == ["b.ids"]


def test_another_document_is_another_set_of_rules() -> None:
    """The hash covers what the documents say, so that an export is checked anew when one changes."""
    rules = Rules(ids=("a.ids",))
    one, same, other = (
        GivenRules(source=source, rules=rules, documents=(read_document("a.ids", text.encode()),))
        for source, text in (("x", PASSING), ("y", PASSING), ("x", PASSING.replace("Agreed", "Changed")))
    )
    assert one.sha256 == same.sha256 != other.sha256
