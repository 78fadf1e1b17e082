"""What is written on the picture: a scale bar, an arrow to the north, and what was left out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from blocks.storage.preview.limits import OVERSAMPLING, WIDTH
from blocks.storage.preview.view import RIGHT, UP, View
from blocks.storage.preview.vtk_modules import common, data_model, rendering

Pixels = tuple[float, float]

_INK = 0.2
_LEFT, _BOTTOM = 36, 24
_TEXT_SIZE = 17
_BAR_HEIGHT = 6
_ARROW = ((0.0, 1.0), (0.32, -0.75), (0.0, -0.4), (-0.32, -0.75))
"""East and north, on the ground, of the tip and the other corners."""
_ARROW_SIZE = 46
_ARROW_AT = (WIDTH - 74.0, 62.0)


def add_labels(renderer: Any, view: View, *, caption: str, has_north: bool) -> None:
    """Write on the picture of a view."""
    text, length = view.scale_bar()
    _add_polygon(renderer, _box(_LEFT, _BOTTOM, length, _BAR_HEIGHT), _INK)
    _add_polygon(renderer, _box(_LEFT + length / 2, _BOTTOM + 1.5, length / 2 - 1.5, _BAR_HEIGHT - 3), 1.0)
    _add_text(renderer, text, (_LEFT + length + 10, _BOTTOM - 4))
    if caption:
        _add_text(renderer, caption, (WIDTH / 2 + 40, _BOTTOM - 4), is_centered=True)
    if has_north:
        _add_north(renderer)


def _add_north(renderer: Any) -> None:
    """The arrow lies on the ground, as the model stands on it."""
    ground = [_ARROW_SIZE * np.array([east, north, 0.0]) for east, north in _ARROW]
    corners = [(float(one @ RIGHT) + _ARROW_AT[0], float(one @ UP) + _ARROW_AT[1]) for one in ground]
    _add_polygon(renderer, [corners[0], corners[1], corners[2]], _INK)
    _add_polygon(renderer, [corners[0], corners[2], corners[3]], 0.62)
    x, y = corners[0]
    _add_text(renderer, "N", (x + 6, y + 2), is_centered=True)


def _box(left: float, bottom: float, width: float, height: float) -> list[Pixels]:
    right, top = left + width, bottom + height
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _add_polygon(renderer: Any, corners: Sequence[Pixels], brightness: float) -> None:
    points, cells = common.vtkPoints(), data_model.vtkCellArray()
    cells.InsertNextCell(len(corners))
    for x, y in corners:
        cells.InsertCellPoint(points.InsertNextPoint(OVERSAMPLING * x, OVERSAMPLING * y, 0.0))
    data = data_model.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    mapper = rendering.vtkPolyDataMapper2D()
    mapper.SetInputData(data)
    actor = rendering.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(brightness, brightness, brightness)
    renderer.AddViewProp(actor)


def _add_text(renderer: Any, text: str, at: Pixels, *, is_centered: bool = False) -> None:
    actor = rendering.vtkTextActor()
    actor.SetInput(text)
    actor.SetDisplayPosition(round(OVERSAMPLING * at[0]), round(OVERSAMPLING * at[1]))
    style = actor.GetTextProperty()
    style.SetFontSize(OVERSAMPLING * _TEXT_SIZE)
    style.SetColor(_INK, _INK, _INK)
    if is_centered:
        style.SetJustificationToCentered()
    renderer.AddViewProp(actor)
