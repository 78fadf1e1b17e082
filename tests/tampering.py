"""Documents as somebody who tampers with a file may leave them, for hypothesis."""

import json
from typing import Any

from hypothesis import strategies as st

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "../a", "\x1b[2J", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_OTHERS = st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000, b'"\\ud800"', b"NaN", b"\xff\xfe", b""])


def hostile(whole: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Documents of a known form with some members exchanged, and others that are no documents at all."""
    changed = st.dictionaries(st.sampled_from(sorted(whole)), _VALUES, max_size=3)
    return _OTHERS | st.binary(max_size=50) | changed.map(lambda members: json.dumps(whole | members).encode())
