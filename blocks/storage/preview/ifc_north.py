"""Where north is in an IFC file.

https://ifc43-docs.standards.buildingsmart.org/IFC/RELEASE/IFC4x3/HTML/lexical/IfcMapConversion.htm: XAxisAbscissa and
XAxisOrdinate are the direction of the local x axis in the map. TrueNorth of a context is a direction in local axes.
"""

import math
from typing import Any

import numpy as np

from blocks.storage.preview.shapes import Points


def rotation_to_north(file: Any) -> Points | None:
    """The matrix that turns the file's coordinates so that y is north; None if the file is not georeferenced."""
    north = _north_of_map(file) or _true_north(file)
    if north is None:
        return None
    angle = math.atan2(*north)
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def instances_of(file: Any, kind: str) -> list[Any]:
    """Instances of a class; none where the schema has no such class."""
    try:
        return list(file.by_type(kind))
    except RuntimeError:
        return []


def _north_of_map(file: Any) -> tuple[float, float] | None:
    for conversion in instances_of(file, "IfcMapConversion"):
        abscissa, ordinate = conversion.XAxisAbscissa, conversion.XAxisOrdinate
        return (0.0, 1.0) if abscissa is None or ordinate is None else (ordinate, abscissa)
    return None


def _true_north(file: Any) -> tuple[float, float] | None:
    directions = (context.TrueNorth for context in instances_of(file, "IfcGeometricRepresentationContext"))
    for direction in filter(None, directions):
        return direction.DirectionRatios[0], direction.DirectionRatios[1]
    has_place = any(site.RefLatitude and site.RefLongitude for site in instances_of(file, "IfcSite"))
    return (0.0, 1.0) if has_place else None
