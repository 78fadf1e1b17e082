"""Triangles on their way from a file to the picture."""

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""Rows of x (east), y (north) and z (up) in metres."""
Triangles = npt.NDArray[np.int64]
Colors = npt.NDArray[np.uint8]
"""Rows of red, green, blue and opacity."""

MOST_TRIANGLES = 4_000_000
"""Drawn in one picture; they take about a gigabyte."""
_FEW_SHAPES = 10
_FAR = 20.0
_FARTHEST = 1e12
"""Meters; the Sun is nearer. Numbers near the largest ones become infinite when they are added."""


class NoPictureError(Exception):
    """There is nothing to draw, or it cannot be drawn; the message is shown to people."""


class NotDrawnError(NoPictureError):
    """A tile is of a kind that is not drawn; the message names the kind."""


def grouped(count: int) -> str:
    """A count with its thousands set apart."""
    return f"{count:,}".replace(",", " ")


@dataclass(frozen=True)
class Model:
    """The shapes to draw; `left_out` names what could not be read; `has_north`: the direction of north is known."""

    points: Points
    triangles: Triangles
    colors: Colors
    caption: str = ""
    has_north: bool = False
    left_out: str = ""


@dataclass(frozen=True)
class Shape:
    """Triangles between points, each with its color."""

    points: Points
    triangles: Triangles
    colors: Colors


def one_triangle() -> Model:
    """The least model, which shows whether anything can be drawn here."""
    return Model(np.eye(3), np.array([[0, 1, 2]]), np.array([[128, 128, 128, 255]], np.uint8))


@dataclass
class ShapeCollection:
    """Shapes as they are read, up to `MOST_TRIANGLES`."""

    points: list[Points] = field(default_factory=list[Points])
    triangles: list[Triangles] = field(default_factory=list[Triangles])
    colors: list[Colors] = field(default_factory=list[Colors])
    count: int = 0

    @property
    def is_full(self) -> bool:
        """Whether no more can be added."""
        return self.count >= MOST_TRIANGLES

    def add(self, points: Points, triangles: Triangles, colors: Colors) -> None:
        """Add a shape, unless a coordinate is not a finite number or is beyond `_FARTHEST`."""
        if len(triangles) and len(points) and bool((np.abs(points) <= _FARTHEST).all()):
            self.points.append(points)
            self.triangles.append(triangles)
            self.colors.append(colors)
            self.count += len(triangles)

    def without_far_ones(self) -> int:
        """Leave out shapes that are so far from the others that these would be a dot; returns how many."""
        if len(self.points) < _FEW_SHAPES:
            return 0
        lows = np.array([points.min(axis=0) for points in self.points])
        highs = np.array([points.max(axis=0) for points in self.points])
        centers = (lows + highs) / 2
        distances = np.linalg.norm(centers - np.median(centers, axis=0), axis=1)
        typical = np.percentile(distances, 90) + np.percentile(np.linalg.norm(highs - lows, axis=1), 90)
        kept = np.flatnonzero(distances <= _FAR * typical)
        left_out = len(self.points) - len(kept)
        self.points = [self.points[index] for index in kept]
        self.triangles = [self.triangles[index] for index in kept]
        self.colors = [self.colors[index] for index in kept]
        return left_out

    def joined(self, deadline: float) -> tuple[Points, Triangles, Colors]:
        """All shapes as one, with the middle of their extent as origin.

        Raises:
            NoPictureError: There are none, perhaps because the deadline passed before the first.
        """
        if not self.points:
            is_late = time.monotonic() > deadline
            raise NoPictureError("reading it takes too long" if is_late else "it has no surface or solid")
        starts = np.cumsum([0, *(len(points) for points in self.points[:-1])])
        points = np.concatenate(self.points)
        triangles = np.concatenate([one + start for one, start in zip(self.triangles, starts, strict=True)])
        return points - (points.min(axis=0) + points.max(axis=0)) / 2, triangles, np.concatenate(self.colors)
