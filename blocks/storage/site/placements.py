"""A table that says where on the Earth the tiles of iModels stand that do not say it themselves."""

import csv
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from blocks.errors import InputError
from blocks.shared_folder import home_expanded, read_bounded
from blocks.shown_text import shown
from blocks.storage.site.volumes import Matrix, on_the_ellipsoid

LONGEST_TABLE = 1024 * 1024
_COLUMNS = ("id", "longitude", "latitude", "height", "heading")


class Placement(BaseModel):
    """Where the origin of a tileset stands: degrees and metres above the ellipsoid (WGS 84).

    `heading` is the direction of its y axis, in degrees from north to east.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    longitude: float = Field(ge=-180, le=180)
    latitude: float = Field(ge=-90, le=90)
    height: float = Field(default=0.0, ge=-20_000, le=100_000)
    heading: float = Field(default=0.0, ge=-360, le=360)

    @field_validator("id")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.strip().lower()

    @property
    def transform(self) -> Matrix:
        """From the coordinates of the tileset to Earth-centred ones."""
        longitude, latitude, turn = (math.radians(one) for one in (self.longitude, self.latitude, self.heading))
        east = (-math.sin(longitude), math.cos(longitude), 0.0)
        up = (math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude))
        north = (
            -math.sin(latitude) * math.cos(longitude),
            -math.sin(latitude) * math.sin(longitude),
            math.cos(latitude),
        )
        right = [math.cos(turn) * e - math.sin(turn) * n for e, n in zip(east, north, strict=True)]
        ahead = [math.sin(turn) * e + math.cos(turn) * n for e, n in zip(east, north, strict=True)]
        return [*right, 0.0, *ahead, 0.0, *up, 0.0, *on_the_ellipsoid(longitude, latitude, self.height), 1.0]


Placements = Mapping[str, Placement]
"""By the id of the iModel, in lower case."""


def read_placements(name: str) -> Placements:
    """Read a table: CSV with the columns `id, longitude, latitude, height, heading`, or TOML with tables `[[imodel]]`.

    Raises:
        InputError: It cannot be read, or a line of it is invalid.
    """
    path = home_expanded(name).absolute()
    try:
        text = read_bounded(path, LONGEST_TABLE, may_be_link=True).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(
            f"The placements {shown(str(path), 500)} cannot be read ({reason}). Correct the path."
        ) from None
    rows = _toml_rows(path, text) if path.suffix.lower() == ".toml" else _csv_rows(path, text)
    placements = [_placement(path, number, row) for number, row in enumerate(rows, start=1)]
    by_id = {placement.id: placement for placement in placements}
    if len(by_id) < len(placements):
        raise InputError(f"The placements {path} name an iModel twice. Leave one of its lines.")
    return by_id


def _csv_rows(path: Path, text: str) -> list[dict[str, object]]:
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if ";" in first else ",", skipinitialspace=True)
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if not {"id", "longitude", "latitude"} <= set(names) <= set(_COLUMNS):
        raise InputError(
            f"The first line of the placements {path} is “{shown(first, 200)}”. It should name the columns: "
            f"{', '.join(_COLUMNS)}."
        )
    reader.fieldnames = names
    return [{name: value for name, value in row.items() if value} for row in reader]


def _toml_rows(path: Path, text: str) -> list[dict[str, object]]:
    try:
        members: dict[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The placements {path} are no valid TOML: {error}. Correct that line.") from None
    rows = members.get("imodel")
    if not isinstance(rows, list) or len(members) > 1:
        raise InputError(f"The placements {path} should have one table [[imodel]] for each iModel, and nothing else.")
    return [cast("dict[str, object]", row) for row in cast("list[object]", rows)]


def _placement(path: Path, number: int, row: object) -> Placement:
    try:
        return Placement.model_validate(row)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "it"
        value = shown(str(fault["input"]), 100)
        said = "is missing" if fault["type"] == "missing" else f"is “{value}”: {fault['msg']}"
        raise InputError(f"Entry {number} of the placements {path} is invalid: {where} {said}. Correct it.") from None
