"""Documents as somebody who tampers with a file may leave them, for hypothesis."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from hypothesis import strategies as st

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-11-20T00:00:00", "../a", "/a"])
    | st.sampled_from(["\x1b[2J", "\ud800", "a\nb", "a" * 20_000, 10**400, 1e308, -1e308, 2**31, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_OTHERS = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000, b'"\\ud800"', b"NaN", b"\xff\xfe", b""])


def hostile(whole: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Documents of a known form with some members exchanged, and others that are no documents at all."""
    changed = st.dictionaries(st.sampled_from(sorted(whole)), _VALUES, max_size=3)
    return _OTHERS | st.binary(max_size=50) | changed.map(lambda members: json.dumps(whole | members).encode())


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> bytes:
    """A JSON document with some values at any depth exchanged, or one that is no document at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_OTHERS | st.binary(max_size=50))
    whole = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        place, key = draw(st.sampled_from(list(_places(whole))))
        place[key] = draw(_VALUES)
    return json.dumps(whole).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        entries = enumerate(cast("list[Any]", value))
    for key, inner in entries:
        yield value, key
        yield from _places(inner)


@st.composite
def overwritten(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which a part is exchanged, cut out or repeated."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 12)))
    return content[:start] + draw(st.binary(max_size=12) | st.just(content[:end])) + content[end:]
