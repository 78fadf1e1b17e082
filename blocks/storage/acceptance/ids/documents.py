"""IDS documents as others wrote them: bounded, and without anything that expands or reads other files."""

import re

from blocks.bounds import LONGEST_IDS
from blocks.errors import InputError
from blocks.foreign_data import ForeignDataError, read_xml
from blocks.storage.acceptance.ids.models import IdsDocument

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ROOT = "{http://standards.buildingsmart.org/IDS}ids"


def holds_text(entry: str) -> bool:
    """True for an entry of the rules that is a document itself, and no name of one."""
    return entry.lstrip("\ufeff \t\r\n").startswith("<")


def read_document(name: str, content: bytes) -> IdsDocument:
    """A document that is safe to parse.

    Raises:
        InputError: It is too long, no XML, no IDS document, or declares a document type.
    """
    subject = f"The IDS document {name}"
    if len(content) > LONGEST_IDS:
        raise InputError(f"{subject} has more than {LONGEST_IDS} bytes. Divide it into several documents.")
    try:
        root = read_xml(content)
    except ForeignDataError as error:
        raise InputError(
            f"{subject} cannot be read: {error}. Save it as XML in UTF-8, without a document type."
        ) from None
    if root.tag != _ROOT:
        raise InputError(f"{subject} is no IDS document: its first element is <{root.tag[:100]}>. Name another file.")
    text = _DECLARATION.sub("", content.decode("utf-8-sig"), count=1)  # it may name another encoding
    return IdsDocument(name=name, text=text)
