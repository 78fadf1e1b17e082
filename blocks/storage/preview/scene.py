"""The picture of a model, drawn by VTK without a screen."""

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blocks.storage.preview.labels import add_labels
from blocks.storage.preview.limits import HEIGHT, OVERSAMPLING, WIDTH
from blocks.storage.preview.picture import write_picture
from blocks.storage.preview.shapes import Model, NoPictureError
from blocks.storage.preview.view import TO_CAMERA, UP, View, fit
from blocks.storage.preview.vtk_modules import arrays, common, data_model, filters, rendering

Chosen = npt.NDArray[np.bool_]

_EDGE_DEGREES = 38.0
_EDGE_COLOR, _EDGE_WIDTH, _EDGE_OPACITY = 0.16, 1.5, 0.6
_LONG_EDGE = 16.0
"""Pixels."""
_OPAQUE = 255
_LIGHT = (-0.24, -0.42, 0.6)
"""Direction to the light: roofs get the color of their material, south walls 0.82 of it, west 0.64, north 0.4."""
_AMBIENT = 0.4
_LIBRARIES = ("libEGL.so.1", "libOSMesa.so.8")


def draw(model: Model, path: Path) -> None:
    """Draw a model into a PNG file.

    Raises:
        NoPictureError: The system lacks what VTK draws with.
    """
    _require_library()
    view = fit(model.points)
    renderer = rendering.vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    is_opaque = model.colors[:, 3] == _OPAQUE
    for is_chosen in (is_opaque, ~is_opaque):
        if is_chosen.any():
            _add_shapes(renderer, view, model, is_chosen)
    _add_light(renderer)
    _aim(renderer, view)
    add_labels(renderer, view, caption=model.caption, has_north=model.has_north)
    window = rendering.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(OVERSAMPLING * WIDTH, OVERSAMPLING * HEIGHT)
    window.AddRenderer(renderer)
    window.Render()
    write_picture(window, path)


def _require_library() -> None:
    """VTK loads one of them by itself, and would end the process without."""
    if sys.platform != "linux":
        return
    for name in _LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return
    raise NoPictureError("this system has no library to draw with (Debian: apt-get install libegl1 libgl1-mesa-dri)")


def _add_shapes(renderer: Any, view: View, model: Model, is_chosen: Chosen) -> None:
    clean = filters.vtkStaticCleanPolyData()
    clean.SetInputData(_poly_data(model, is_chosen))
    renderer.AddActor(_surfaces(clean))
    renderer.AddActor(_edges(clean, view))


def _surfaces(clean: Any) -> Any:
    """Surfaces, shaded as round where they bend a little; pushed back so that edges on them are seen."""
    normals = filters.vtkPolyDataNormals()
    normals.SetInputConnection(clean.GetOutputPort())
    normals.SetFeatureAngle(_EDGE_DEGREES)
    normals.ConsistencyOff()
    mapper = rendering.vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.SetResolveCoincidentTopologyToPolygonOffset()
    mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(2.0, 4.0)
    actor = rendering.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetAmbient(_AMBIENT)
    actor.GetProperty().SetDiffuse(1.0)
    actor.GetProperty().SetSpecular(0.0)
    return actor


def _edges(clean: Any, view: View) -> Any:
    """Lines where surfaces bend more, or end."""
    edges = filters.vtkFeatureEdges()
    edges.SetInputConnection(clean.GetOutputPort())
    edges.SetFeatureAngle(_EDGE_DEGREES)
    edges.ColoringOff()
    edges.Update()
    mapper = rendering.vtkPolyDataMapper()
    mapper.SetInputConnection(edges.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = rendering.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(_EDGE_COLOR, _EDGE_COLOR, _EDGE_COLOR)
    actor.GetProperty().SetLineWidth(_EDGE_WIDTH)
    actor.GetProperty().SetOpacity(_edge_opacity(edges.GetOutput(), view))
    actor.GetProperty().LightingOff()
    return actor


def _edge_opacity(edges: Any, view: View) -> float:
    """Faint where edges are so short in the picture that they would blacken the surfaces."""
    if not edges.GetNumberOfLines():
        return 0.0
    points = arrays.vtk_to_numpy(edges.GetPoints().GetData())
    ends = arrays.vtk_to_numpy(edges.GetLines().GetConnectivityArray()).reshape(-1, 2)
    pixels = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1) / view.meters_per_pixel
    return _EDGE_OPACITY * min(1.0, float(np.median(pixels)) / _LONG_EDGE)


def _poly_data(model: Model, is_chosen: Chosen) -> Any:
    triangles = model.triangles[is_chosen]
    points = common.vtkPoints()
    points.SetData(arrays.numpy_to_vtk(model.points.astype(np.float32), deep=True))
    cells = data_model.vtkCellArray()
    offsets = np.arange(0, 3 * len(triangles) + 1, 3, dtype=np.int64)
    cells.SetData(
        arrays.numpy_to_vtkIdTypeArray(offsets, deep=True),
        arrays.numpy_to_vtkIdTypeArray(triangles.reshape(-1), deep=True),
    )
    data = data_model.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    colors = arrays.numpy_to_vtk(np.ascontiguousarray(model.colors[is_chosen]), deep=True)
    data.GetCellData().SetScalars(colors)
    return data


def _add_light(renderer: Any) -> None:
    renderer.AutomaticLightCreationOff()
    light = rendering.vtkLight()
    light.SetLightTypeToSceneLight()
    light.SetFocalPoint(0.0, 0.0, 0.0)
    light.SetPosition(*_LIGHT)
    light.SetIntensity(float(np.linalg.norm(_LIGHT)))
    renderer.AddLight(light)


def _aim(renderer: Any, view: View) -> None:
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*view.middle)
    camera.SetPosition(*(view.middle + 2 * view.depth * TO_CAMERA))
    camera.SetViewUp(*UP)
    camera.SetParallelScale(view.parallel_scale)
    camera.SetClippingRange(0.5 * view.depth, 4.5 * view.depth)
