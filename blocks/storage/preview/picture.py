"""The drawn window as a PNG file of bounded size."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from blocks.storage.preview.limits import HEIGHT, LARGEST_PICTURE, WIDTH
from blocks.storage.preview.vtk_modules import arrays, rendering

_COLORS = 256
_SHRINK = 0.8


def write_picture(window: Any, path: Path) -> None:
    """Write what the window shows, smaller if the file would be larger than a picture may be."""
    shown = rendering.vtkWindowToImageFilter()
    shown.SetInput(window)
    shown.ReadFrontBufferOff()
    shown.Update()
    columns, rows, _ = shown.GetOutput().GetDimensions()
    pixels = arrays.vtk_to_numpy(shown.GetOutput().GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1]
    picture = Image.fromarray(pixels)
    factor = 1.0
    while len(content := _png_of(picture, factor)) > LARGEST_PICTURE:
        factor *= _SHRINK
    path.write_bytes(content)


def _png_of(picture: Image.Image, factor: float) -> bytes:
    """The picture in so many colors that nobody sees the difference, in a third of the bytes."""
    size = (round(factor * WIDTH), round(factor * HEIGHT))
    smaller = picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)
    content = BytesIO()
    smaller.quantize(_COLORS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()
