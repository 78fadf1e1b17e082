"""Colors of textures: each triangle has the color that its texture has in the triangle's middle.

Images are PNG, JPEG or WebP, as Pillow reads them. KTX 2 (KHR_texture_basisu) is left out, and what takes too long.
"""

import io
import time

import numpy as np
import numpy.typing as npt
from PIL import Image

Numbers = npt.NDArray[np.float64]

LEFT_OUT = "some textures"
_SECONDS = 6.0
"""For decoding all images of a picture."""
_EDGE = 256
"""Images are made so small: a picture shows no finer detail, and each triangle has one color."""
_MOST_PIXELS = 8192 * 8192
_FORMATS = ("JPEG", "PNG", "WEBP")


class Textures:
    """Decodes images while there is time."""

    def __init__(self) -> None:
        self._left = _SECONDS

    def decode(self, content: bytes) -> Numbers | None:
        """Rows of linear colors with opacity; None if it cannot be read, is too large, or no time is left."""
        if self._left <= 0:
            return None
        started = time.monotonic()
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if image.width * image.height > _MOST_PIXELS:
                    return None
                image.draft("RGB", (_EDGE, _EDGE))
                small = image.convert("RGBA")
            small.thumbnail((_EDGE, _EDGE), Image.Resampling.BOX)
            return _linear(np.asarray(small))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return None
        finally:
            self._left -= time.monotonic() - started


def sampled(image: Numbers, places: Numbers) -> Numbers:
    """The color at each place, whose coordinates go from 0 to 1 and repeat."""
    rows, columns = image.shape[:2]
    inside = np.nan_to_num(places - np.floor(places))
    return image[(inside[:, 1] * rows).astype(int) % rows, (inside[:, 0] * columns).astype(int) % columns]


def _linear(pixels: npt.NDArray[np.uint8]) -> Numbers:
    """Colors of sRGB as glTF calculates with them; opacity is linear in both."""
    shares = pixels / 255.0
    curved = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    curved[:, :, 3] = shares[:, :, 3]
    return curved
