"""Does an IFC hold anything to see? Told by streaming over its lines, whatever its size.

ISO 10303-21 writes an instance as `#12=IFCWALL('<GlobalId>',…);`. Only classes under IfcRoot begin with a GlobalId: 22
characters of base 64, the first of them 0 to 3 (ISO 16739-1, IfcGloballyUniqueId). Those that are no product are named
here, and so are the sites, buildings and storeys that every exporter writes around what it exports.
"""

import re
from pathlib import Path

from blocks.disk import disk_errors

_NO_PRODUCTS = (
    r"REL\w*|\w+(?:TYPE|STYLE|TEMPLATE|PROPERTIES|SYSTEM|RESOURCE)|PROJECT(?:LIBRARY|ORDER(?:RECORD)?)?|\w+CONTEXT"
    r"|PROPERTYSET(?:DEFINITION)?|PREDEFINEDPROPERTYSET|ELEMENTQUANTITY|QUANTITYSET|TYPEOBJECT|TYPEPRODUCT|TYPEPROCESS"
    r"|GROUP|SYSTEM|ZONE|INVENTORY|ASSET|CONDITION|STRUCTURAL(?:ANALYSISMODEL|LOADCASE|LOADGROUP|RESULTGROUP)"
    r"|ACTOR|OCCUPANT|ACTIONREQUEST|COSTITEM|COSTSCHEDULE|PERMIT|PERFORMANCEHISTORY|WORKCALENDAR|WORKPLAN|WORKSCHEDULE"
    r"|TIMESERIESSCHEDULE|SPACEPROGRAM|SCHEDULETIMECONTROL|CONDITIONCRITERION|EQUIPMENTSTANDARD|FURNITURESTANDARD"
    r"|SERVICELIFE(?:FACTOR)?|SOUNDVALUE|ELECTRICALCIRCUIT|DISTRIBUTIONCIRCUIT|TASK|EVENT|PROCEDURE|MOVE|ORDERACTION"
)
_FRAME = (
    r"SITE|BUILDING|BUILDINGSTOREY|FACILITY(?:PART(?:COMMON)?)?|BRIDGE(?:PART)?|ROAD(?:PART)?|RAILWAY(?:PART)?"
    r"|MARINE(?:FACILITY|PART)"
)
_SHAPE = b"IFCPRODUCTDEFINITIONSHAPE"
_ROOTED = re.compile(rb"\(\s*'[0-3][0-9A-Za-z_$]{21}'\s*,")
_CLASS = re.compile(rb"IFC(\w+)\s*\Z", re.IGNORECASE)
_NOT_COUNTED = re.compile(rf"{_NO_PRODUCTS}|{_FRAME}".encode(), re.IGNORECASE)
_CHUNK = 1024 * 1024
_LONGEST_CLASS = 80
_OVERLAP = 512
"""Bytes of the chunk before that are read again: an instance's beginning is shorter."""


def holds_product(path: Path) -> bool:
    """True if the file holds an element, a space, an annotation or any shape; reads no further than the first one.

    Raises:
        DiskError: The file cannot be read.
    """
    tail = b""
    with disk_errors(path.parent), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if _shows_product(tail + chunk):
                return True
            tail = chunk[-_OVERLAP:]
    return False


def _shows_product(text: bytes) -> bool:
    if _SHAPE in text:
        return True
    for rooted in _ROOTED.finditer(text):
        name = _CLASS.search(text, max(0, rooted.start() - _LONGEST_CLASS), rooted.start())
        if name and not _NOT_COUNTED.fullmatch(name[1]):
            return True
    return False
