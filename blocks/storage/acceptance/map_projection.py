"""Longitude and latitude of coordinates in the reference systems that need no library: UTM and Web Mercator.

UTM is computed with Krüger's series to the fourth order, which is exact to a millimetre within a zone:
https://doi.org/10.2312/GFZ.b103-krueger28. ETRS89, NAD83 and GDA differ from WGS 84 by less than two metres.
"""

import math
import re
from collections.abc import Callable

_CODE = re.compile(r"(?:EPSG|urn:ogc:def:crs:EPSG)[\s:]+(?:[\d.]*:)?(\d{4,6})", re.IGNORECASE)
_NORTHERN = ((32601, 32660, 1), (25828, 25838, 28), (26901, 26923, 1))
"""First and last EPSG code of a series, and the zone of the first: WGS 84, ETRS89 and NAD83."""
_SOUTHERN = ((32701, 32760, 1), (28348, 28358, 48), (7846, 7859, 46))
"""WGS 84, GDA94 and GDA2020."""
_WEB_MERCATOR = 3857
_RADIUS, _FLATTENING = 6_378_137.0, 1 / 298.257223563
_SCALE, _FALSE_EASTING, _FALSE_NORTHING = 0.9996, 500_000.0, 10_000_000.0
_EASTINGS, _NORTHINGS = (0.0, 1_000_000.0), (-10_000.0, 10_010_000.0)
_N = _FLATTENING / (2 - _FLATTENING)
_MERIDIAN = _RADIUS / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)
_DELTA = (
    2 * _N - 2 * _N**2 / 3 - 2 * _N**3 + 116 * _N**4 / 45,
    7 * _N**2 / 3 - 8 * _N**3 / 5 - 227 * _N**4 / 45,
    56 * _N**3 / 15 - 136 * _N**4 / 35,
    4279 * _N**4 / 630,
)

Inverse = Callable[[float, float], tuple[float, float]]


def to_degrees(crs: str, eastings: float, northings: float) -> tuple[float, float] | None:
    """Longitude and latitude in degrees.

    None if the reference system needs a library, or if it has no such coordinates in metres.

    Args:
        crs: Name of the reference system, as EPSG:25832.
        eastings: Metres.
        northings: Metres.
    """
    inverse = _inverse_of(crs)
    is_of_zone = _EASTINGS[0] <= eastings <= _EASTINGS[1] and _NORTHINGS[0] <= northings <= _NORTHINGS[1]
    is_on_earth = max(abs(eastings), abs(northings)) <= math.pi * _RADIUS
    if inverse is None or not (is_of_zone or (inverse is _from_web_mercator and is_on_earth)):
        return None
    return inverse(eastings, northings)


def _inverse_of(crs: str) -> Inverse | None:
    found = _CODE.fullmatch(crs.strip())
    code = int(found[1]) if found else 0
    if code == _WEB_MERCATOR:
        return _from_web_mercator
    for series, false_northing in ((_NORTHERN, 0.0), (_SOUTHERN, _FALSE_NORTHING)):
        for first, last, zone in series:
            if first <= code <= last:
                return _utm(zone + code - first, false_northing)
    return None


def _utm(zone: int, false_northing: float) -> Inverse:
    def inverse(eastings: float, northings: float) -> tuple[float, float]:
        xi = (northings - false_northing) / (_SCALE * _MERIDIAN)
        eta = (eastings - _FALSE_EASTING) / (_SCALE * _MERIDIAN)
        xi_, eta_ = xi, eta
        for order, beta in enumerate(_BETA, start=1):
            xi_ -= beta * math.sin(2 * order * xi) * math.cosh(2 * order * eta)
            eta_ -= beta * math.cos(2 * order * xi) * math.sinh(2 * order * eta)
        conformal = math.asin(math.sin(xi_) / math.cosh(eta_))
        latitude = conformal + sum(
            delta * math.sin(2 * order * conformal) for order, delta in enumerate(_DELTA, start=1)
        )
        longitude = zone * 6 - 183 + math.degrees(math.atan2(math.sinh(eta_), math.cos(xi_)))
        return (longitude + 180) % 360 - 180, math.degrees(latitude)

    return inverse


def _from_web_mercator(eastings: float, northings: float) -> tuple[float, float]:
    latitude = 2 * math.atan(math.exp(northings / _RADIUS)) - math.pi / 2
    return math.degrees(eastings / _RADIUS), math.degrees(latitude)
