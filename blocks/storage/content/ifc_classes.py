"""The classes of IFC: how they are spelled, and which are products."""

from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

Kind = Literal["element", "spatial", "product", "root", "other"]
"""Under IfcElement; under IfcSpatialElement; other products; others with a GlobalId; all others."""
PRODUCTS = frozenset({"element", "spatial", "product"})
ELEMENTS = frozenset({"element", "spatial"})


class IfcClass(NamedTuple):
    """A class; `name` as in the schema: IfcWall."""

    name: str
    kind: str


@cache
def known_classes() -> dict[bytes, IfcClass]:
    """The classes of IFC2X3, IFC4 and IFC4X3_ADD2 by their keyword in files: IFCWALL."""
    text = files("blocks.storage.content").joinpath("ifc_classes.txt").read_text("utf-8")
    classes: dict[bytes, IfcClass] = {}
    for section in text.split("\n[")[1:]:
        kind, _, names = section.partition("]")
        classes |= {f"IFC{name.upper()}".encode(): IfcClass(f"Ifc{name}", kind) for name in names.split()}
    return classes
