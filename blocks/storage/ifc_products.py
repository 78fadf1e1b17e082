"""Detection of products in an IFC file of any size, by a streaming search.

ISO 10303-21 writes an instance as `#12=IFCWALL('<GlobalId>',…);`. Only classes under IfcRoot begin with a GlobalId: 22
characters of base 64, the first of them 0 to 3 (ISO 16739-1, IfcGloballyUniqueId). The subclasses that are not products
are listed here, and also the spatial structure (site, building, storey) that exporters write into every file.
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
_SPATIAL_STRUCTURE = (
    r"SITE|BUILDING|BUILDINGSTOREY|FACILITY(?:PART(?:COMMON)?)?|BRIDGE(?:PART)?|ROAD(?:PART)?|RAILWAY(?:PART)?"
    r"|MARINE(?:FACILITY|PART)"
)
_SHAPE = b"IFCPRODUCTDEFINITIONSHAPE"
_ROOTED = re.compile(rb"\(\s*'[0-3][0-9A-Za-z_$]{21}'\s*,")
_CLASS = re.compile(rb"IFC(\w+)\s*\Z", re.IGNORECASE)
_NOT_COUNTED = re.compile(rf"{_NO_PRODUCTS}|{_SPATIAL_STRUCTURE}".encode(), re.IGNORECASE)
_CHUNK = 1024 * 1024
_LONGEST_CLASS = 80
_OVERLAP = 512
"""Bytes of the previous chunk that are searched again; the start of an instance is shorter."""


def holds_product(path: Path) -> bool:
    """True if the file has an element, a space, an annotation or any shape; stops reading at the first one.

    Raises:
        DiskError: The file cannot be read.
    """
    tail = b""
    with disk_errors(path.parent), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if _has_product(tail + chunk):
                return True
            tail = chunk[-_OVERLAP:]
    return False


def _has_product(text: bytes) -> bool:
    if _SHAPE in text:
        return True
    for rooted in _ROOTED.finditer(text):
        name = _CLASS.search(text, max(0, rooted.start() - _LONGEST_CLASS), rooted.start())
        if name and not _NOT_COUNTED.fullmatch(name[1]):
            return True
    return False
