"""A mapping file as the stand-in exporter reads it.

The vendor documents rows of classes (https://bentleysystems.service-now.com/community?id=kb_article_view&sysparm_article=KB0098437)
and comments; the shape around the rows is undocumented, so rows are found wherever they are. The row `Property` is the
stand-in's own: `{"Property": [ECSchema, ECClass, ECProperty, PropertySet, Name]}`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

_KEYS = {"IFC4.3": "IFC4x3", "IFC2x3": "IFC2x3", "IFC2x3 CV 2.0": "IFC2x3", "IFC4 RV 1.2": "IFC4"}
_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|/\*.*?\*/', re.DOTALL)
_PARSE_ERROR = "ERROR iModelToIFCConverter   - Cannot Parse Json File c:\\stagingdir\\UserDefinedMapping.json"


class BadMappingError(Exception):
    """An unusable mapping file: the message goes to the run's log, `task_error` is the error of the run's task."""

    def __init__(self, log: str, task_error: dict[str, Any] | None = None) -> None:
        super().__init__(log)
        self.task_error = {"message": log} if task_error is None else task_error


@dataclass(frozen=True)
class Mapping:
    """IFC classes by EC schema and class; property set and name by EC schema, class and property."""

    classes: dict[tuple[str, ...], str]
    properties: dict[tuple[str, ...], tuple[str, str]]


def read_mapping(content: bytes, version: str) -> Mapping:
    """The mapping for an IFC version.

    Raises:
        BadMappingError: It is no JSON with comments in UTF-8; as with the platform, only the log says so.
    """
    try:
        text = _STRING_OR_COMMENT.sub(lambda found: found[1] or " ", content.decode())
        rows = list(_rows(json.loads(text)))
    except ValueError:
        raise BadMappingError(_PARSE_ERROR, {}) from None
    classes = {tuple(row["Class"][:2]): name for row in rows if (name := _ifc_class(row, _KEYS[version]))}
    properties = {
        tuple(row["Property"][:3]): (row["Property"][3], row["Property"][4])
        for row in rows
        if _is_list_of_text(row.get("Property"), 5)
    }
    return Mapping(classes, properties)


def _rows(value: object) -> Iterator[dict[str, Any]]:
    """Every object with the member `Class` or `Property`, however deep."""
    if isinstance(value, dict):
        row = cast("dict[str, Any]", value)
        if "Class" in row or "Property" in row:
            yield row
        for member in row.values():
            yield from _rows(member)
    elif isinstance(value, list):
        for member in cast("list[object]", value):
            yield from _rows(member)


def _ifc_class(row: dict[str, Any], key: str) -> str | None:
    """The IFC class of a row: its third text, or the member of the version; none for rows of another shape."""
    named = row.get("Class")
    if _is_list_of_text(named, 3):
        return str(cast("list[str]", named)[2])
    of_version = row.get(key)
    return of_version if _is_list_of_text(named, 2) and isinstance(of_version, str) else None


def _is_list_of_text(value: object, length: int) -> bool:
    if not isinstance(value, list):
        return False
    members = cast("list[object]", value)
    return len(members) == length and all(isinstance(member, str) for member in members)
