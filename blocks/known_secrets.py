"""The secrets this process holds, so that none of them is repeated when another side echoes it.

A secret is found by value: whole, percent-encoded, escaped as in JSON, and in fragments (the tail of a token).
"""

import json
import re
import threading
from collections import OrderedDict
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "…"
MOST_SECRETS = 500
"""Kept; beyond that the ones that were used least recently are forgotten."""
LONGEST_TEXT = 20_000
"""Characters of a text that are kept: messages are for people."""
_SHORTEST_SECRET = 8
_LONG_SECRET = 32
_FRAGMENT = 8
"""Characters in a row that a long secret (a token, a key, a signature) is recognised by."""
_PARTS = re.compile(r"(?:AccountKey|sig|Signature|Policy|Key-Pair-Id)=([^&;\s]+)")
_KINDS = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"[0-9]"))


class _Secrets:
    """The most recent secrets, each in every form that it may be echoed in; for many threads."""

    def __init__(self) -> None:
        self._forms: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """Remember one."""
        if len(value) < _SHORTEST_SECRET:
            return
        with self._lock:
            self._forms[value] = self._forms.pop(value, None) or _forms_of(value)
            while len(self._forms) > MOST_SECRETS:
                self._forms.popitem(last=False)

    def forms(self) -> list[str]:
        """Every form of every secret, long ones first."""
        with self._lock:
            return sorted((form for forms in self._forms.values() for form in forms), key=len, reverse=True)


_known = _Secrets()


def remember_secret(secret: str) -> None:
    """Have a secret hidden from now on; of a link or a connection string, its key or signature."""
    for value in _PARTS.findall(secret) or [secret]:
        _known.add(unquote(value))


def without_known_secrets(text: str) -> str:
    """The text, shortened, without any of the secrets that are remembered and without fragments of long ones."""
    text = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + HIDDEN
    forms = _known.forms()
    for form in forms:
        text = text.replace(form, HIDDEN)
    long = "\n".join(form for form in forms if len(form) >= _LONG_SECRET)
    is_hidden = bytearray(len(text))
    for start in range(len(text) - _FRAGMENT + 1 if long else 0):
        fragment = text[start : start + _FRAGMENT]
        if fragment in long and _looks_random(fragment):
            is_hidden[start : start + _FRAGMENT] = b"\x01" * _FRAGMENT
    return re.sub(
        "\0+", HIDDEN, "".join("\0" if hidden else char for char, hidden in zip(text, is_hidden, strict=True))
    )


def _forms_of(value: str) -> frozenset[str]:
    encoded = {quote(value, safe=""), quote_plus(value), quote(value)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in encoded}
    escaped = json.dumps(value)[1:-1]
    return frozenset({value, *encoded, *lower, escaped, escaped.replace("/", r"\/")})


def _looks_random(fragment: str) -> bool:
    """True for a mixture of letters and digits: words that a secret has in common with a sentence are no fragment."""
    return sum(bool(kind.search(fragment)) for kind in _KINDS) > 1
