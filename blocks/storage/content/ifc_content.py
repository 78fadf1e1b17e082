"""The content report of an IFC file of any size, in one pass over its text.

Nothing is parsed that is not counted, so the memory stays flat: ISO 10303-21 writes an instance as
`#12=IFCWALL('<GlobalId>',…);`, and a few regular expressions find what the report needs.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from blocks.disk import disk_errors
from blocks.storage.content.global_ids import GlobalIds
from blocks.storage.content.ifc_classes import ELEMENTS, PRODUCTS, IfcClass, known_classes
from blocks.storage.content.ifc_references import ReferenceCheck
from blocks.storage.content.ifc_settings import CLASSES, Settings, attribute
from blocks.storage.content.ifc_text import Piece, read_pieces
from blocks.storage.content.ifc_values import read_text, split_attributes
from blocks.storage.content.models import IfcContent, percent
from blocks.storage.ifc_check import read_header, schema_of

_CLASS = re.compile(rb"=([^(]*+)")
_GLOBAL_ID = re.compile(rb"=([^(]{0,80}+)\(\s*+'([0-3][0-9A-Za-z_$]{21})'")
_KEYWORD = re.compile(rb"!?[A-Z_][A-Z0-9_]{0,79}")
_MOST_CLASSES = 2000
_OTHERS = "others"
_NOT_SHOWN = frozenset({"root", "spatial"})
_ATTRIBUTE = rb"\s*+,[^,'();]*+(?:'[^']*+'[^,'();]*+)*+"
_PLACED = re.compile(rb"(?:" + _ATTRIBUTE + rb"){4}\s*+,\s*+([#$*]?)\d*+\s*+,\s*+([#$*]?)")
"""Placement and representation: the sixth and seventh attribute of a product."""


class ReadIfc(NamedTuple):
    """What a file contains."""

    content: IfcContent
    global_ids: GlobalIds


def read_ifc(path: Path, *, checks_references: bool = True) -> ReadIfc:
    """Read what a file contains; one that is no IFC gives a report of nothing.

    Raises:
        DiskError: The file cannot be read.
    """
    counts = _Counts(checks_references=checks_references)
    with disk_errors(path.parent):
        header = read_header(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            for piece in read_pieces(file):
                counts.add(piece)
    return ReadIfc(counts.report(path.name, size, header), counts.global_ids)


def read_ifc_content(path: Path, *, checks_references: bool = True) -> IfcContent:
    """The report without the GlobalIds.

    Raises:
        DiskError: The file cannot be read.
    """
    return read_ifc(path, checks_references=checks_references).content


class _Counts:
    """What has been counted up to now."""

    def __init__(self, *, checks_references: bool) -> None:
        self._classes = known_classes()
        self._entities = Counter[str]()
        self._settings = Settings()
        self._references = ReferenceCheck() if checks_references else None
        self.global_ids = GlobalIds()
        self._without_placement = self._without_representation = 0

    def add(self, piece: Piece) -> None:
        """Count the instances of a piece."""
        written = Counter(_CLASS.findall(piece.masked))
        keywords = {text: _after_equals(text).strip().upper() for text in written}
        for text, count in written.items():
            self._count(keywords[text], count)
        if not CLASSES.isdisjoint(keywords.values()):
            self._settings.add(piece)
        known = ((_after_equals(text), self._classes.get(keyword)) for text, keyword in keywords.items())
        self._add_global_ids(piece.masked, {text: one for text, one in known if one and one.kind != "other"})
        if self._references:
            self._references.add(piece.masked)

    def _count(self, keyword: bytes, count: int) -> None:
        """Count a class; of those that no schema has, only so many are told apart."""
        known = self._classes.get(keyword)
        if known:
            self._entities[known.name] += count
        elif _KEYWORD.fullmatch(keyword):
            name = keyword.decode("ascii")
            is_room = name in self._entities or len(self._entities) < _MOST_CLASSES
            self._entities[name if is_room else _OTHERS] += count

    def _add_global_ids(self, text: bytes, classes: Mapping[bytes, IfcClass]) -> None:
        ids = {name: (self.global_ids.of_class(known.name).add, known.kind) for name, known in classes.items()}
        for found in _GLOBAL_ID.finditer(text):
            written, global_id = found.groups()
            known = ids.get(written) or ids.get(_after_equals(written))
            if known is None:
                continue
            add, kind = known
            add(global_id)
            if kind not in _NOT_SHOWN:
                self._look_for_shape(text, found.end())

    def _look_for_shape(self, text: bytes, after_global_id: int) -> None:
        found = _PLACED.match(text, after_global_id)
        placement, representation = found.groups() if found else (b"", b"")
        self._without_placement += placement != b"#"
        self._without_representation += representation != b"#"

    def report(self, name: str, size: int, header: list[bytes]) -> IfcContent:
        """The report of all that was counted."""
        kinds = {known.name: known.kind for known in self._classes.values()}
        entities = dict(sorted(self._entities.items()))
        elements = sum(count for kind, count in entities.items() if kinds.get(kind) in ELEMENTS)
        proxies = self._entities["IfcBuildingElementProxy"]
        return IfcContent(
            path=name,
            size=size,
            ifc_schema=schema_of(header),
            **_origin(header),
            applications=self._settings.applications(),
            instances=self._entities.total(),
            entities=entities,
            products={kind: count for kind, count in entities.items() if kinds.get(kind) in PRODUCTS},
            elements=elements,
            storeys=self._entities["IfcBuildingStorey"],
            spaces=self._entities["IfcSpace"],
            property_sets=self._entities["IfcPropertySet"],
            proxies=proxies,
            proxy_percent=percent(proxies, elements),
            units=self._settings.units(),
            georeferences=self._settings.georeferences(),
            global_ids=len(self.global_ids),
            duplicate_global_ids=self.global_ids.duplicates,
            missing_references=self._references.missing if self._references else None,
            first_missing=self._references.first_missing if self._references else None,
            products_without_placement=self._without_placement,
            products_without_representation=self._without_representation,
        )


def _after_equals(text: bytes) -> bytes:
    """The class of an instance; an instance without parentheses before it has another equals sign."""
    return text.rpartition(b"=")[2]


def _origin(header: list[bytes]) -> dict[str, str]:
    """What FILE_NAME says of where the file comes from."""
    statement = next((one for one in header if one.upper().startswith(b"FILE_NAME(")), b"FILE_NAME()")
    arguments = statement.partition(b"(")[2].removesuffix(b")")
    attributes = split_attributes(Piece(arguments, arguments))
    names = {"time_stamp": 1, "preprocessor": 4, "application": 5}
    return {name: read_text(attribute(attributes, index)) for name, index in names.items()}
