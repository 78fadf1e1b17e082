"""Rows of a mapping file that may not do what their author expects.

Rows of classes are documented: `{"Class": [ECSchema, ECClass, IfcClass]}`, or two names and one IFC class for each IFC
version (https://bentleysystems.service-now.com/community?id=kb_article_view&sysparm_article=KB0098437). What lies
around them, rows of properties and conditions are documented by examples only, so they are not looked at.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from blocks.shown_text import shown

_KEYS = {"IFC4.3": "IFC4x3", "IFC2x3": "IFC2x3", "IFC2x3 CV 2.0": "IFC2x3", "IFC4 RV 1.2": "IFC4"}
"""The key of an IFC version in a mapping file."""
_VERSION_KEYS = frozenset({"IFC2x3", "IFC4", "IFC4x2", "IFC4x3"})
_CONTROL = re.compile(r"[\x00-\x1f]")
_SHOWN = 5
_LONGEST_NAME = 60
_LONGEST_PLACE = 200

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Place:
    """A position in the document; its text is built only when it is shown."""

    step: str = ""
    above: "_Place | None" = None

    def __str__(self) -> str:
        steps: list[str] = []
        place: _Place | None = self
        while place:
            steps.append(place.step)
            place = place.above
        return shown("".join(reversed(steps)).lstrip("."), _LONGEST_PLACE) or "the top"


def find_oddities(document: object, ifc_version: str) -> Iterator[str]:
    """Sentences about a parsed mapping file, as the warnings of an export with this IFC version."""
    key = _KEYS[ifc_version]
    rows = list(_rows(document))
    if not rows:
        yield 'it has no row {"Class": [ECSchema, ECClass, IfcClass]}, so it may map nothing.'
        return
    if odd := [where for where, row in rows if not _has_known_shape(row)]:
        yield (
            f"{_count(odd, 'row')} of classes with an unexpected shape, as at {odd[0]}; expected is [ECSchema, "
            f"ECClass, IfcClass], or [ECSchema, ECClass] with an IFC class for each version."
        )
    if lacking := [where for where, row in rows if _names(row) == 2 and _VERSION_KEYS & row.keys() and key not in row]:
        yield f"{_count(lacking, 'row')} without the key {key} for {ifc_version}, as at {lacking[0]}."
    if changed := [where for where, row in rows if any(_CONTROL.search(name) for name in _texts(row.get("Class")))]:
        yield f"{_count(changed, 'row')} with a tab or line end in a name, as at {changed[0]}: write a backslash twice."
    if unknown := _unknown_classes((row for _, row in rows), key):
        yield (
            f"{ifc_version} has no class {_listed(unknown)}: elements that are mapped to it are left out of the export."
        )


def _rows(document: object) -> Iterator[tuple[_Place, Row]]:
    """Every object with the member `Class`, and its place in the document."""
    stack = [(_Place(), document)]
    while stack:
        where, value = stack.pop()
        if isinstance(value, dict):
            row = cast("Row", value)
            if "Class" in row:
                yield where, row
            stack += [(_Place(f".{name[:_LONGEST_NAME]}", where), member) for name, member in reversed(row.items())]
        elif isinstance(value, list):
            members = cast("list[object]", value)
            stack += [(_Place(f"[{number}]", where), members[number]) for number in reversed(range(len(members)))]


def _texts(value: object) -> list[str]:
    return [text for text in cast("list[object]", value) if isinstance(text, str)] if isinstance(value, list) else []


def _names(row: Row) -> int:
    """How many names a row's `Class` has; 0 if it is no list of names."""
    texts = _texts(row["Class"])
    return len(texts) if texts and len(texts) == len(cast("list[object]", row["Class"])) else 0


def _has_known_shape(row: Row) -> bool:
    return _names(row) == 3 or (_names(row) == 2 and len(row) > 1)


def _unknown_classes(rows: Iterable[Row], key: str) -> list[str]:
    """IFC classes of the rows that the schema does not have, each once."""
    known = _known_classes(key)
    asked = dict.fromkeys(name for row in rows if (name := _ifc_class(row, key)))
    return [name for name in asked if name.lower() not in known]


def _ifc_class(row: Row, key: str) -> str | None:
    named = row.get(key)
    if isinstance(named, str):
        return named
    return _texts(row["Class"])[2] if _names(row) == 3 else None


@cache
def _known_classes(key: str) -> frozenset[str]:
    """The classes of a schema, in lower case."""
    text = files("tasks.ifc").joinpath("ifc_classes.txt").read_text("utf-8")
    return frozenset(f"ifc{name.lower()}" for name in text.partition(f"[{key}]\n")[2].partition("[")[0].split())


def _count(found: list[_Place], what: str) -> str:
    return f"{len(found)} {what}{'s' if len(found) > 1 else ''}"


def _listed(names: list[str]) -> str:
    first = ", ".join(shown(name, _LONGEST_NAME) for name in names[:_SHOWN])
    return f"{first} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else first
