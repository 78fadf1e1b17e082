"""What an export contains: the report `content.json`, and its short form for manifests, reports and tables.

`content.schema.json` beside this module is the JSON schema of the report.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from blocks.kept_model import KeptModel
from blocks.storage.content.difference import Difference, IfcDifference

CONTENT_NAME = "content.json"


class Georeference(KeptModel):
    """Where a file says it lies: an IfcMapConversion with its IfcProjectedCRS, or the coordinates of an IfcSite."""

    source: Literal["map_conversion", "site"]
    crs: str | None = Field(default=None, description="Name of the coordinate reference system, as in EPSG:25832.")
    eastings: float | None = Field(default=None, description="In the unit of the coordinate reference system.")
    northings: float | None = Field(default=None, description="In the unit of the coordinate reference system.")
    latitude: float | None = Field(default=None, description="Degrees.")
    longitude: float | None = Field(default=None, description="Degrees.")
    height: float | None = Field(default=None, description="OrthogonalHeight, or RefElevation of the site, as written.")


_STRUCTURE = re.compile(r"Ifc(Site|Building|BuildingStorey|(Facility|Bridge|Road|Railway|Marine)\w*)$")
"""Spatial structure that exporters write into every file."""


class IfcContent(KeptModel):
    """The content of one IFC file.

    An element is an instance of a class under IfcElement or IfcSpatialElement; both are products.
    """

    path: str = Field(description="Name of the file, relative to the report.")
    size: int = Field(description="Bytes.")
    ifc_schema: str = Field(description="Schema named in the header, as IFC4X3_ADD2.")
    application: str = Field(default="", description="Originating system named in the header.")
    preprocessor: str = Field(default="", description="Preprocessor version named in the header.")
    time_stamp: str = Field(default="", description="Time stamp named in the header, as written.")
    applications: tuple[str, ...] = Field(default=(), description="Name and version of each IfcApplication.")
    instances: int = Field(default=0, description="Instances of all classes.")
    entities: dict[str, int] = Field(default={}, description="Instances by class, without those of subclasses.")
    products: dict[str, int] = Field(default={}, description="Those of them whose class is under IfcProduct.")
    elements: int = 0
    storeys: int = Field(default=0, description="Instances of IfcBuildingStorey.")
    spaces: int = Field(default=0, description="Instances of IfcSpace.")
    property_sets: int = Field(default=0, description="Instances of IfcPropertySet.")
    proxies: int = Field(default=0, description="Instances of IfcBuildingElementProxy.")
    proxy_percent: float = Field(default=0.0, description="Their share of the elements.")
    units: dict[str, str] = Field(
        default={}, description="Units assigned to the project, by type, as LENGTHUNIT: MILLIMETRE."
    )
    georeferences: tuple[Georeference, ...] = Field(
        default=(), description="Empty if the file says nowhere where it lies."
    )
    global_ids: int = Field(default=0, description="Instances with a GlobalId.")
    duplicate_global_ids: int = Field(default=0, description="Instances whose GlobalId another one before has too.")
    missing_references: int | None = Field(
        default=None, description="Instances that are referred to and do not exist; null if that was not checked."
    )
    first_missing: int | None = Field(default=None, description="The smallest number of such an instance.")
    products_without_placement: int = Field(default=0, description="Products outside the spatial structure.")
    products_without_representation: int = Field(default=0, description="Products outside the spatial structure.")

    @property
    def holds_product(self) -> bool:
        """True if there is a shape, or a product beyond the structure of a site (facility, building, storey)."""
        return "IfcProductDefinitionShape" in self.entities or any(not _STRUCTURE.match(name) for name in self.products)


class IfcSummary(KeptModel):
    """Summary of IFC content reports, for manifest, report and artifact; counts are totals over all files."""

    format: Literal["ifc"] = "ifc"
    ifc_schema: str
    application: str
    instances: int
    products: int
    elements: int
    storeys: int
    spaces: int
    proxy_percent: float
    georeferences: int
    duplicate_global_ids: int
    missing_references: int | None
    products_without_placement: int
    products_without_representation: int

    def sentence(self) -> str:
        """The figures that people look at first, in one line."""
        lies = f"{self.georeferences} georeferences" if self.georeferences > 1 else "georeferenced"
        facts = [
            f"{_counted(self.elements, 'element')} ({self.proxy_percent:g} % proxies)",
            _counted(self.storeys, "storey"),
            _counted(self.spaces, "space"),
            lies if self.georeferences else "no georeference",
        ]
        if self.duplicate_global_ids:
            facts.append(_counted(self.duplicate_global_ids, "duplicate GlobalId"))
        if self.missing_references:
            facts.append(f"{_counted(self.missing_references, 'missing instance')} that others refer to")
        return f"{self.ifc_schema}: {', '.join(facts)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class EarthExtent(KeptModel):
    """Degrees (WGS 84) and metres above the ellipsoid; across the 180th meridian `west` is greater than `east`."""

    west: float
    south: float
    east: float
    north: float
    lowest: float
    highest: float

    @property
    def place(self) -> str:
        """Latitude and longitude of the middle."""
        middle = (self.west + self.east) / 2 + (180 if self.west > self.east else 0)
        return f"{(self.south + self.north) / 2:.4f}, {middle - 360 if middle > 180 else middle:.4f}"


class LargestTile(KeptModel):
    """The tile with the most bytes."""

    path: str
    size: int


class TilesetContent(KeptModel):
    """The content of a tileset; a tile is a file with content, counted once however many nodes refer to it."""

    version: str = Field(default="", description="Of 3D Tiles, as 1.1.")
    tileset_version: str = Field(default="", description="As the exporter states it.")
    tiles: int = 0
    size: int = Field(default=0, description="Bytes of the tiles together.")
    levels: dict[int, int] = Field(default={}, description="Tiles by the level of their node; the root has level 0.")
    kinds: dict[str, int] = Field(default={}, description="Tiles by their format: glb, b3dm, gltf and others.")
    largest_tile: LargestTile | None = None
    least_geometric_error: float | None = Field(default=None, description="Metres.")
    greatest_geometric_error: float | None = Field(default=None, description="Metres.")
    extent: EarthExtent | None = Field(default=None, description="Null if the tileset lies nowhere on the Earth.")
    dimensions: tuple[float, float, float] | None = Field(
        default=None, description="Width, depth and height in metres of the bounding volume of the root."
    )
    extensions_used: tuple[str, ...] = ()
    extensions_required: tuple[str, ...] = ()


class TilesetSummary(KeptModel):
    """Summary of a tileset's content report, for manifest, report and artifact."""

    format: Literal["mesh"] = "mesh"
    version: str
    tiles: int
    size: int
    levels: int
    largest_tile: int
    extent: EarthExtent | None
    dimensions: tuple[float, float, float] | None
    extensions_required: tuple[str, ...]

    def sentence(self) -> str:
        """The figures that people look at first, in one line."""
        tiles, levels, size = (
            _counted(self.tiles, "tile"),
            _counted(self.levels, "level"),
            _counted(self.largest_tile, "byte"),
        )
        facts = [f"{tiles} on {levels}", f"the largest has {size}"]
        if self.dimensions:
            facts.append(" × ".join(f"{length:.0f}" for length in self.dimensions) + " m")
        facts.append(f"at {self.extent.place}" if self.extent else "not on the Earth")
        facts += [f"requires {', '.join(self.extensions_required)}"] if self.extensions_required else []
        return f"3D Tiles {self.version}: {', '.join(facts)}"


ContentSummary = Annotated[IfcSummary | TilesetSummary, Field(discriminator="format")]


class ExportContent(KeptModel):
    """The document `content.json`: the content of an export's files."""

    content_version: Literal[1] = 1
    ifc: tuple[IfcContent, ...] = Field(default=(), description="One report for each IFC file.")
    tileset: TilesetContent | None = None
    difference: Difference | None = Field(
        default=None, description="What changed since the export before; null if there was none to compare with."
    )

    def summary(self) -> IfcSummary | TilesetSummary | None:
        """The short form; None if there is neither a file nor a tileset."""
        if self.tileset:
            return summarize_tileset(self.tileset)
        return summarize_ifc(self.ifc) if self.ifc else None

    def short_difference(self) -> Difference | None:
        """The short form of the difference, for manifest and report."""
        return self.difference.shortened() if isinstance(self.difference, IfcDifference) else self.difference


def summarize_ifc(files: tuple[IfcContent, ...]) -> IfcSummary:
    """Summarise one or more IFC content reports."""
    elements = sum(file.elements for file in files)
    missing = [file.missing_references for file in files if file.missing_references is not None]
    return IfcSummary(
        ifc_schema=files[0].ifc_schema,
        application=files[0].application,
        instances=sum(file.instances for file in files),
        products=sum(sum(file.products.values()) for file in files),
        elements=elements,
        storeys=sum(file.storeys for file in files),
        spaces=sum(file.spaces for file in files),
        proxy_percent=percent(sum(file.proxies for file in files), elements),
        georeferences=max(len(file.georeferences) for file in files),
        duplicate_global_ids=sum(file.duplicate_global_ids for file in files),
        missing_references=sum(missing) if len(missing) == len(files) else None,
        products_without_placement=sum(file.products_without_placement for file in files),
        products_without_representation=sum(file.products_without_representation for file in files),
    )


def summarize_tileset(tileset: TilesetContent) -> TilesetSummary:
    """The short form of a tileset."""
    return TilesetSummary(
        version=tileset.version,
        tiles=tileset.tiles,
        size=tileset.size,
        levels=len(tileset.levels),
        largest_tile=tileset.largest_tile.size if tileset.largest_tile else 0,
        extent=tileset.extent,
        dimensions=tileset.dimensions,
        extensions_required=tileset.extensions_required,
    )


def percent(part: int, whole: int) -> float:
    """The share in percent, with one decimal; 0 of nothing."""
    return round(100 * part / whole, 1) if whole else 0.0
