"""What an IFC file says about itself as a whole: applications, units and georeferences."""

import re
from itertools import islice

from blocks.storage.content.ifc_text import LONGEST_INSTANCE, Piece
from blocks.storage.content.ifc_values import (
    read_enumeration,
    read_number,
    read_reference,
    read_text,
    split_attributes,
)
from blocks.storage.content.models import Georeference

MOST_SETTINGS = 1000
"""Instances of each of these classes that are read."""
MOST_LISTED = 20
"""Applications and georeferences in a report."""
CLASSES = frozenset(
    {
        b"IFCAPPLICATION",
        b"IFCUNITASSIGNMENT",
        b"IFCSIUNIT",
        b"IFCCONVERSIONBASEDUNIT",
        b"IFCCONVERSIONBASEDUNITWITHOFFSET",
        b"IFCMAPCONVERSION",
        b"IFCMAPCONVERSIONSCALED",
        b"IFCPROJECTEDCRS",
        b"IFCSITE",
    }
)
_INSTANCE = re.compile(rb"#(\d{1,15})\s*=\s*(" + b"|".join(sorted(CLASSES, reverse=True)) + rb")\s*\(", re.IGNORECASE)
_NUMBER = re.compile(rb"-?\d{1,15}")
_REFERENCE = re.compile(rb"#(\d{1,15})")
_PARTS_OF_DEGREE = (1, 60, 3600, 3_600_000_000)
"""Degrees, minutes, seconds and millionths of a second: IfcCompoundPlaneAngleMeasure."""


class Settings:
    """Collects the instances of `CLASSES`."""

    def __init__(self) -> None:
        self._found: dict[bytes, dict[int, list[bytes]]] = {name: {} for name in CLASSES}

    def add(self, piece: Piece) -> None:
        """Note the attributes of those instances in a piece."""
        for found in _INSTANCE.finditer(piece.masked):
            instances = self._found[found[2].upper()]
            start, end = found.end(), piece.masked.find(b";", found.end())
            if len(instances) < MOST_SETTINGS and 0 <= end - start < LONGEST_INSTANCE:
                end = piece.masked.rfind(b")", start, end)
                instances[int(found[1])] = split_attributes(Piece(piece.raw[start:end], piece.masked[start:end]))

    def applications(self) -> tuple[str, ...]:
        """Name and version of each application, each once."""
        names = (
            " ".join(filter(None, (read_text(attribute(application, 2)), read_text(attribute(application, 1)))))
            for application in self._all(b"IFCAPPLICATION")
        )
        return tuple(islice(dict.fromkeys(filter(None, names)), MOST_LISTED))

    def units(self) -> dict[str, str]:
        """The assigned units by their type; a unit without a type, such as money, is left out."""
        numbers = [
            int(number)
            for assignment in self._all(b"IFCUNITASSIGNMENT")
            for number in _REFERENCE.findall(attribute(assignment, 0))
        ]
        units: dict[str, str] = {}
        for number in numbers:
            if (unit := self._found[b"IFCSIUNIT"].get(number)) is not None:
                name = read_enumeration(attribute(unit, 2)) + read_enumeration(attribute(unit, 3))
            elif (unit := self._conversion(number)) is not None:
                name = read_text(attribute(unit, 2))
            else:
                continue
            units.setdefault(read_enumeration(attribute(unit, 1)), name)
        return dict(sorted(units.items()))

    def georeferences(self) -> tuple[Georeference, ...]:
        """Map conversions, then sites with latitude and longitude."""
        conversions = (*self._all(b"IFCMAPCONVERSION"), *self._all(b"IFCMAPCONVERSIONSCALED"))
        sites = (_site(site) for site in self._all(b"IFCSITE"))
        found = [*map(self._map_conversion, conversions), *(site for site in sites if site)]
        return tuple(found[:MOST_LISTED])

    def _all(self, name: bytes) -> list[list[bytes]]:
        return list(self._found[name].values())

    def _conversion(self, number: int) -> list[bytes] | None:
        plain, offset = self._found[b"IFCCONVERSIONBASEDUNIT"], self._found[b"IFCCONVERSIONBASEDUNITWITHOFFSET"]
        return plain.get(number) or offset.get(number)

    def _map_conversion(self, attributes: list[bytes]) -> Georeference:
        crs = self._found[b"IFCPROJECTEDCRS"].get(read_reference(attribute(attributes, 1)) or 0, [])
        return Georeference(
            source="map_conversion",
            crs=read_text(attribute(crs, 0)) or None,
            eastings=read_number(attribute(attributes, 2)),
            northings=read_number(attribute(attributes, 3)),
            height=read_number(attribute(attributes, 4)),
        )


def attribute(attributes: list[bytes], index: int) -> bytes:
    """One attribute; empty if the instance has fewer."""
    return attributes[index] if index < len(attributes) else b""


def _site(attributes: list[bytes]) -> Georeference | None:
    latitude, longitude = _degrees(attribute(attributes, 9)), _degrees(attribute(attributes, 10))
    if latitude is None or longitude is None:
        return None
    height = read_number(attribute(attributes, 11))
    return Georeference(source="site", latitude=latitude, longitude=longitude, height=height)


def _degrees(value: bytes) -> float | None:
    parts = [int(part) for part in _NUMBER.findall(value)[: len(_PARTS_OF_DEGREE)]] if value[:1] == b"(" else []
    if not parts:
        return None
    return round(sum(part / whole for part, whole in zip(parts, _PARTS_OF_DEGREE, strict=False)), 9)
