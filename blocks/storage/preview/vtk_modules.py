"""The modules of VTK that draw, without types: those that VTK declares are incomplete."""

from typing import Any

import vtkmodules.util.numpy_support
import vtkmodules.vtkCommonCore
import vtkmodules.vtkCommonDataModel
import vtkmodules.vtkFiltersCore
import vtkmodules.vtkRenderingCore
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2

arrays: Any = vtkmodules.util.numpy_support
common: Any = vtkmodules.vtkCommonCore
data_model: Any = vtkmodules.vtkCommonDataModel
filters: Any = vtkmodules.vtkFiltersCore
rendering: Any = vtkmodules.vtkRenderingCore
LOADED = (vtkmodules.vtkRenderingFreeType, vtkmodules.vtkRenderingOpenGL2)
"""They register how texts and surfaces are drawn."""
