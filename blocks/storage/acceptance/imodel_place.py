"""Where an iModel lies, as far as acceptance rules compare an IFC file with it."""

import math

from pydantic import BaseModel, ConfigDict

TOLERANCE = 1000
"""Metres that a georeference may lie outside the extent: the reference point of a project is often beside its model."""
_METRES_A_DEGREE = 111_195.0
_NEAR_POLE = 1e-6


class IModelPlace(BaseModel):
    """An iModel and its extent: west, south, east and north in degrees, or None if the platform states none."""

    model_config = ConfigDict(frozen=True)

    name: str
    extent: tuple[float, float, float, float] | None = None

    def holds(self, longitude: float, latitude: float) -> bool:
        """True if a point lies in the extent or at most `TOLERANCE` metres outside; it may cross the 180th meridian."""
        if self.extent is None:
            return False
        west, south, east, north = self.extent
        up = TOLERANCE / _METRES_A_DEGREE
        aside = up / max(math.cos(math.radians(latitude)), _NEAR_POLE)
        width = 360.0 if east - west >= 360 else (east - west) % 360
        is_in_longitude = (longitude - west + aside) % 360 <= width + 2 * aside
        return is_in_longitude and south - up <= latitude <= north + up
