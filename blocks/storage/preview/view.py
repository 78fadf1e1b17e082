"""Where the picture is taken from, and how large the model is in it; a parallel projection, so that a scale holds."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blocks.storage.preview.limits import HEIGHT, WIDTH
from blocks.storage.preview.shapes import Points

Vector = npt.NDArray[np.float64]

_MARGIN = 36
_FOOT = 78
"""Pixels below the model, for scale and caption."""
_BEARING, _ELEVATION = math.radians(215), math.radians(30)
"""The camera stands south-west of the model, a little more to the south, and looks down."""
_BAR_SHARE = 0.22


def _unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)


TO_CAMERA: Vector = np.array(
    [
        math.cos(_ELEVATION) * math.sin(_BEARING),
        math.cos(_ELEVATION) * math.cos(_BEARING),
        math.sin(_ELEVATION),
    ]
)
RIGHT: Vector = _unit(np.cross(np.array([0.0, 0.0, 1.0]), TO_CAMERA))
UP: Vector = np.cross(TO_CAMERA, RIGHT)


@dataclass(frozen=True)
class View:
    """What the picture shows: `middle` is the point in the middle of it, `depth` reaches past all points."""

    middle: Vector
    meters_per_pixel: float
    depth: float

    @property
    def parallel_scale(self) -> float:
        """Half the height of the picture in metres."""
        return self.meters_per_pixel * HEIGHT / 2

    def scale_bar(self) -> tuple[str, float]:
        """A round length (1, 2 or 5 times a power of ten) and how many pixels it has."""
        longest = _BAR_SHARE * WIDTH * self.meters_per_pixel
        power = 10.0 ** math.floor(math.log10(longest))
        length = next(factor * power for factor in (5, 2, 1) if factor * power <= longest)
        return _with_unit(length), length / self.meters_per_pixel


def fit(points: Points) -> View:
    """The view in which all points are as large as they can be."""
    across, along = points @ RIGHT, points @ UP
    width, height = np.ptp(across), np.ptp(along)
    meters_per_pixel = max(width / (WIDTH - 2 * _MARGIN), height / (HEIGHT - _MARGIN - _FOOT), 1e-6)
    below = (_FOOT - _MARGIN) / 2 * meters_per_pixel  # the middle of the picture is so much below that of the model
    middle = RIGHT * (across.min() + across.max()) / 2 + UP * ((along.min() + along.max()) / 2 - below)
    return View(middle, float(meters_per_pixel), float(np.linalg.norm(points, axis=1).max()) + 1.0)


def _with_unit(meters: float) -> str:
    for unit, size in (("km", 1000.0), ("m", 1.0), ("cm", 0.01)):
        if meters >= size:
            return f"{meters / size:g} {unit}"
    return f"{meters * 1000:g} mm"
