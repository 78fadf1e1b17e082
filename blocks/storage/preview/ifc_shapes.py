"""Shapes of IFC files, with the colors of their styles; the largest products first."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.geom
import numpy as np

from blocks.storage.preview.ifc_north import instances_of, rotation_to_north
from blocks.storage.preview.ifc_sizes import SizeEstimator
from blocks.storage.preview.shapes import Colors, Model, NoPictureError, Points, ShapeCollection, grouped

_library: Any = ifcopenshell
_geometry: Any = ifcopenshell.geom
"""Their types are incomplete."""

MOST_ELEMENTS = 20_000
_AT_ONCE = 4_000
"""Elements of one iterator: it begins with a look at the whole file."""
_SIZING_SHARE = 0.25
"""Of the time until the deadline."""
_KERNEL = "hybrid-cgal-simple-opencascade"
"""Ten times as fast as Open CASCADE for extrusions and meshes, and falls back to it."""
_INVISIBLE = (
    "IfcSpace",
    "IfcSpatialZone",
    "IfcFeatureElementSubtraction",
    "IfcAnnotation",
    "IfcGrid",
    "IfcVirtualElement",
)
_FAINTEST = 40
"""Of 255: so that what is nearly transparent is seen."""
_PLAIN = (178, 178, 172, 255)
_OF_CLASSES = {
    "IfcWall": (222, 214, 200, 255),
    "IfcSlab": (186, 186, 186, 255),
    "IfcRoof": (176, 108, 84, 255),
    "IfcColumn": (158, 164, 172, 255),
    "IfcBeam": (150, 158, 170, 255),
    "IfcWindow": (150, 190, 214, 130),
    "IfcPlate": (160, 192, 210, 150),
    "IfcCurtainWall": (160, 192, 210, 150),
    "IfcDoor": (168, 124, 86, 255),
    "IfcCovering": (210, 202, 188, 255),
    "IfcStair": (196, 190, 180, 255),
    "IfcRailing": (120, 124, 130, 255),
    "IfcFlowSegment": (110, 150, 140, 255),
    "IfcFlowFitting": (110, 150, 140, 255),
    "IfcFlowTerminal": (126, 160, 180, 255),
    "IfcFurnishingElement": (190, 150, 100, 255),
    "IfcBuildingElementProxy": (196, 160, 120, 255),
    "IfcSite": (150, 172, 128, 255),
}
"""Colors of products without a style, by their class or one above it."""


def read_ifc(paths: list[Path], deadline: float) -> Model:
    """The largest elements of IFC files, as many as `MOST_ELEMENTS`, the memory and the time allow.

    Args:
        paths: Files of one export, which share their coordinates.
        deadline: When to stop, on the monotonic clock.

    Raises:
        NoPictureError: There is nothing to show.
    """
    collection = ShapeCollection()
    total, has_north, is_sized = 0, False, True
    for path in paths:
        file: Any = _library.open(str(path), format=".ifc")
        products = _products_of(file)
        total += len(products)
        estimator = SizeEstimator(file, _SIZING_SHARE * (deadline - time.monotonic()))
        ordered = estimator.largest_first(products)
        is_sized = is_sized and estimator.is_complete
        rotation = rotation_to_north(file)
        has_north = has_north or rotation is not None
        _collect(file, ordered[:MOST_ELEMENTS], np.eye(3) if rotation is None else rotation, collection, deadline)
    if not total:
        raise NoPictureError("it has no product with a shape")
    shown = len(collection.points)
    far = collection.without_far_ones()
    points, triangles, colors = collection.joined(deadline)
    return Model(points, triangles, colors, _caption(shown - far, total, far, is_sized=is_sized), has_north)


def _caption(shown: int, total: int, far: int, *, is_sized: bool) -> str:
    """What is not in the picture; nothing if it is all there."""
    largest = "largest " if is_sized else ""
    parts = [f"{largest}{grouped(shown)} of {grouped(total)} elements shown"] if shown + far < total else []
    parts += [f"{far} far from all others left out"] if far else []
    return ", ".join(parts)


def _products_of(file: Any) -> list[Any]:
    hidden = {product.id() for kind in _INVISIBLE for product in instances_of(file, kind)}
    products: list[Any] = file.by_type("IfcProduct")
    return [product for product in products if product.Representation and product.id() not in hidden]


def _collect(file: Any, products: list[Any], rotation: Points, collection: ShapeCollection, deadline: float) -> None:
    palette = _Palette(file)
    for first in range(0, len(products), _AT_ONCE):
        for element in _elements_of(file, products[first : first + _AT_ONCE]):
            if collection.is_full or time.monotonic() > deadline:
                return
            geometry: Any = element.geometry
            points = np.frombuffer(geometry.verts_buffer, dtype=np.float64).reshape(-1, 3) @ rotation.T
            triangles = np.frombuffer(geometry.faces_buffer, dtype=np.int32).reshape(-1, 3).astype(np.int64)
            collection.add(points, triangles, palette.colors_of(element, len(triangles)))


def _elements_of(file: Any, products: list[Any]) -> Iterator[Any]:
    """The elements with their triangles, in the order of the kernel; those it cannot make are left out."""
    settings: Any = _geometry.settings()
    for name in ("use-world-coords", "no-normals"):
        settings.set(name, True)  # noqa: FBT003  how the library takes a value
    iterator: Any = _geometry.iterator(settings, file, 1, include=products, geometry_library=_KERNEL)
    is_moving: bool = iterator.initialize()
    while is_moving:
        yield iterator.get()
        is_moving = bool(iterator.next())


class _Palette:
    """Colors of the triangles of an element: those of its styles, else those of its class."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._of_classes: dict[str, tuple[int, int, int, int]] = {}

    def colors_of(self, element: Any, count: int) -> Colors:
        geometry: Any = element.geometry
        colors = [self._color_of(style, element) for style in geometry.materials]
        given = np.frombuffer(geometry.material_ids_buffer, dtype=np.int32)
        # A triangle without a style has the number -1, which is the last color.
        table = np.array([*colors, self._color_of_class(element)], dtype=np.uint8)
        return table[given] if len(given) == count else np.repeat(table[-1:], count, axis=0)

    def _color_of(self, style: Any, element: Any) -> tuple[int, int, int, int]:
        if not style.instance_id():  # the geometry kernel's own
            return self._color_of_class(element)
        opacity = 1 - float(style.transparency) if style.has_transparency() else 1.0
        red, green, blue = style.diffuse.components
        return _byte(red), _byte(green), _byte(blue), max(_byte(opacity), _FAINTEST)

    def _color_of_class(self, element: Any) -> tuple[int, int, int, int]:
        kind: str = element.type
        if kind not in self._of_classes:
            product: Any = self._file.by_id(element.id)
            found = (color for name, color in _OF_CLASSES.items() if product.is_a(name))
            self._of_classes[kind] = next(found, _PLAIN)
        return self._of_classes[kind]


def _byte(share: float) -> int:
    return round(255 * min(max(share, 0.0), 1.0)) if math.isfinite(share) else 255
