"""How large the products of an IFC file are, about: from the numbers of their representations, without geometry."""

import random
import time
from collections.abc import Iterable
from typing import Any

_FALLBACK = 0.0
_MOST_INSTANCES = 400


class SizeEstimator:
    """Estimates the largest extent of products until its time is over; those after that count as small.

    Extents are in the unit of the file, and comparable in one file only. Products are taken in random order, so that
    those whose size is known are from everywhere in the file.

    Attributes:
        is_complete: Every size is known.
    """

    def __init__(self, file: Any, seconds: float) -> None:
        self._file = file
        self._end = time.monotonic() + seconds
        self._known: dict[int, float] = {}
        self.is_complete = True

    def largest_first(self, products: Iterable[Any]) -> list[Any]:
        """The products in the order of their size."""
        shuffled = list(products)
        random.Random(0).shuffle(shuffled)  # noqa: S311  no secret
        return sorted(shuffled, key=self._size, reverse=True)

    def _size(self, product: Any) -> float:
        if time.monotonic() > self._end:
            self.is_complete = False
            return _FALLBACK
        return max(map(self._extent, product.Representation.Representations), default=_FALLBACK)

    def _extent(self, representation: Any) -> float:
        """The extent of a representation, or of the one that its only item is an instance of."""
        items: tuple[Any, ...] = representation.Items
        if len(items) == 1 and items[0].is_a("IfcMappedItem"):
            representation = items[0].MappingSource.MappedRepresentation
        key: int = representation.id()
        if key not in self._known:
            self._known[key] = self._measure(representation)
        return self._known[key]

    def _measure(self, representation: Any) -> float:
        """Extent of the points, or the largest length (of a profile or an extrusion) if that is larger."""
        longest, low, high = 0.0, [0.0] * 3, [0.0] * 3
        seen = False
        for item in representation.Items:
            for instance in self._file.traverse(item)[:_MOST_INSTANCES]:
                kind: str = instance.is_a()
                if kind in {"IfcDirection", "IfcColourRgb"}:
                    continue
                for value in instance:
                    if isinstance(value, float):
                        longest = max(longest, value)
                for point in _points_of(instance, kind):
                    for axis, number in enumerate(point[:3]):
                        low[axis] = min(low[axis], number) if seen else number
                        high[axis] = max(high[axis], number) if seen else number
                    seen = True
        return max(longest, *(up - down for up, down in zip(high, low, strict=True)))


def _points_of(instance: Any, kind: str) -> tuple[tuple[float, ...], ...]:
    if kind == "IfcCartesianPoint":
        return (instance.Coordinates,)
    return instance.CoordList if kind.startswith("IfcCartesianPointList") else ()
