"""The feature table of a tile: a JSON object and rows of numbers that it refers to.

https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-featuretable-feature-table
"""

import struct

import numpy as np
import numpy.typing as npt

from blocks.foreign_data import Json, read_json_object
from blocks.storage.preview.shapes import NoPictureError, Points

MOST_FEATURES = 10_000_000
_SIZES = struct.Struct("<II")
_HEADER_START = 12


class FeatureTable:
    """The table of an `i3dm` or `pnts`, whose header has so many bytes."""

    def __init__(self, content: bytes, header: int) -> None:
        json_size, binary_size = _SIZES.unpack_from(content, _HEADER_START)
        start = header + json_size
        self.json: Json = read_json_object(content[header:start].rstrip(b" \0"))
        self._binary = content[start : start + binary_size]

    def count(self, name: str) -> int:
        """The number of features."""
        count = int(self.json[name])
        if not 0 <= count <= MOST_FEATURES:
            raise NoPictureError("a tile has too many points or instances")
        return count

    def rows(self, name: str, count: int, width: int, kind: str) -> npt.NDArray[np.float64]:
        """So many rows of a member of the table; refuses what lies outside."""
        start = int(self.json[name]["byteOffset"])
        return np.ndarray((count, width), "<" + kind, self._binary, start).astype(np.float64)

    def positions(self, count: int) -> Points:
        """Where the features are, in the coordinates of the tile."""
        center = np.array(self.json.get("RTC_CENTER") or (0.0, 0.0, 0.0))
        if "POSITION" in self.json:
            return self.rows("POSITION", count, 3, "f4") + center
        shares = self.rows("POSITION_QUANTIZED", count, 3, "u2") / 65535.0
        scale, offset = self.json["QUANTIZED_VOLUME_SCALE"], self.json["QUANTIZED_VOLUME_OFFSET"]
        return shares * np.array(scale, float) + np.array(offset, float) + center
