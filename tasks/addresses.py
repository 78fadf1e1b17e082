"""What a person gives for an iTwin or an iModel: an id, a name, or an address copied from the browser.

Ids and addresses are read here, without a request; `tasks.names` finds what a name stands for.
"""

import re
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator

from blocks.errors import InputError

Kind = Literal["iTwin", "iModel"]

LATEST = "latest"
"""Stands for the newest named version."""
LONGEST_NAME = 255
"""Longest name of an iTwin, an iModel or a named version."""
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID = re.compile(_GUID, re.IGNORECASE)
_LABELLED: dict[Kind, re.Pattern[str]] = {
    "iTwin": re.compile(rf"(?:itwins?|contexts?|projects?)(?:id)?[=/]({_GUID})", re.IGNORECASE),
    "iModel": re.compile(rf"imodels?(?:id)?[=/]({_GUID})", re.IGNORECASE),
}
"""An id after the word for its kind, in the path or the query of an address."""
EXPECTED: dict[Kind, str] = {
    "iTwin": "its id, its name, or its address copied from the browser",
    "iModel": "its id, its name with that of its iTwin (Campus/Plant A), or its address copied from the browser",
}
"""How an iTwin or an iModel may be given."""


def is_id(text: str) -> bool:
    """True for a GUID."""
    return _ID.fullmatch(text) is not None


def read_subject(value: object, kind: Kind) -> str:
    """The id in lower case, if the value is one or an address that holds one; else the name as it is.

    Raises:
        InputError: It is neither of them.
    """
    text = str(value).strip()
    if is_id(text):
        return text.lower()
    if re.match(r"https?://", text, re.IGNORECASE):
        return _id_in_address(text, kind)
    parts = [part for part in text.split("/") if part.strip()]
    names = 2 if kind == "iModel" else 1
    if len(parts) < names or text.startswith("/") or text.endswith("/"):
        raise InputError(f"“{text}” is not an {kind}: give {EXPECTED[kind]}.")
    if len(text) > names * LONGEST_NAME + names - 1:
        raise InputError(f"“{text[:40]}…” is longer than any name of an {kind}. Give {EXPECTED[kind]}.")
    return text


def read_member(value: object) -> str:
    """The id of an iModel of a known iTwin, or its name, which then needs no iTwin before it.

    Raises:
        InputError: It is neither of them.
    """
    text = str(value).strip()
    return text if text and "/" not in text and not is_id(text) else read_subject(text, "iModel")


def subject(kind: Kind) -> Any:
    """A validator for use inside `Annotated`: the value stands for an iTwin or an iModel."""
    return BeforeValidator(lambda value: read_subject(value, kind))


def _id_in_address(text: str, kind: Kind) -> str:
    """The id of this kind in an address; an id that no word precedes counts if it is the only one."""
    decoded = unquote(text)
    if labelled := _LABELLED[kind].search(decoded):
        return labelled[1].lower()
    others = {found.lower() for other in _LABELLED if other != kind for found in _LABELLED[other].findall(decoded)}
    ids = {found.lower() for found in _ID.findall(decoded)} - others
    if len(ids) != 1:
        shown = urlsplit(text)
        raise InputError(
            f"The address {shown.scheme}://{shown.netloc.rpartition('@')[2]}{shown.path} does not say which {kind} is "
            f"meant. Open the page of the {kind} and copy its address, or give {EXPECTED[kind]}."
        )
    return ids.pop()
