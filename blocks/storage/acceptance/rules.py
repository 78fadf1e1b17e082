"""Acceptance rules: what must hold of an export so that it counts as what was agreed.

The same names in TOML files and in the block `Acceptance Rules`; the descriptions are the form in the Prefect UI.
"""

import hashlib
import math
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from blocks.bounds import LONGEST_IDS, MOST_IDS
from blocks.storage.acceptance.ids.documents import holds_text
from blocks.storage.acceptance.ids.models import IdsDocument
from blocks.storage.content.ifc_classes import known_classes

OnRejected = Literal["fail", "quarantine", "publish"]


def _class_name(value: str) -> str:
    """A class as the schema spells it; upper and lower case are the same."""
    known = known_classes().get(value.strip().upper().encode())
    if known is None:
        names = {one.name.casefold(): one.name for one in known_classes().values()}
        near = get_close_matches(value.casefold(), names, n=1)
        meant = f"; the nearest one is {names[near[0]]}" if near else ""
        raise ValueError(f"no IFC schema has this class{meant}")
    return known.name


def _box(value: tuple[float, ...]) -> tuple[float, ...]:
    (west, south, east, north), heights = value[:4], value[4:]
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
        raise ValueError("give [west, south, east, north] in degrees, as [11.3, 48.0, 11.8, 48.3]")
    if heights and (len(heights) != 2 or heights[0] >= heights[1]):
        raise ValueError(
            "after the degrees give the lowest and the highest metre, as [11.3, 48.0, 11.8, 48.3, 400, 600]"
        )
    return value


Count = Annotated[int, Field(strict=True, ge=0)]
Percent = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
ClassName = Annotated[str, AfterValidator(_class_name)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
IdsEntry = Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_IDS)]
Box = Annotated[
    tuple[Annotated[float, Field(strict=True, allow_inf_nan=False)], ...],
    Field(min_length=4, max_length=6),
    AfterValidator(_box),
]
Flag = Annotated[bool, Field(strict=True)]


class RuleTable(BaseModel):
    """A table of the rules; a rule that is left out is not checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    within: Box | None = Field(
        default=None,
        title="Within",
        description="West, south, east and north in degrees (WGS 84), and if wanted the lowest and the highest metre: "
        "everything must lie inside. If west is greater than east, the box crosses the 180th meridian.",
    )
    max_shrink_percent: Annotated[float, Field(strict=True, ge=0, le=100)] | None = Field(
        default=None,
        title="Most shrinkage in percent",
        description="Elements of IFC files, or tiles, that may be fewer than in the published export before.",
    )
    max_growth_percent: Percent | None = Field(
        default=None,
        title="Most growth in percent",
        description="Elements of IFC files, or tiles, that may be more than in the published export before.",
    )

    @property
    def is_empty(self) -> bool:
        """True if it holds no rule."""
        return not self.model_dump(exclude_defaults=True)


class IfcRules(RuleTable):
    """Rules for IFC exports; an element is an instance of a class under IfcElement or IfcSpatialElement."""

    min_elements: Count | None = Field(default=None, title="Least elements", description="Of all IFC files together.")
    max_elements: Count | None = Field(default=None, title="Most elements", description="Of all IFC files together.")
    require: dict[ClassName, Annotated[int, Field(strict=True, ge=1)]] = Field(
        default={},
        title="Required classes",
        description="Least number of instances by class, as IfcWall: 1. Instances of subclasses count.",
    )
    forbid: tuple[ClassName, ...] = Field(
        default=(),
        title="Forbidden classes",
        description="Classes of which there must be no instance, as IfcFurniture. Instances of subclasses count.",
    )
    max_proxy_percent: Annotated[float, Field(strict=True, ge=0, le=100)] | None = Field(
        default=None,
        title="Most proxies in percent",
        description="Largest share of IfcBuildingElementProxy in the elements.",
    )
    georeference: Literal["required", "imodel"] | None = Field(
        default=None,
        title="Georeference",
        description="required: each file has a map conversion, or a site with latitude and longitude; imodel: these "
        "lie in the extent of the iModel too, or within 1000 m of it.",
    )
    unique_global_ids: Flag = Field(
        default=False, title="Unique GlobalIds", description="No two instances of a file have the same GlobalId."
    )
    whole_references: Flag = Field(
        default=False, title="Whole references", description="No instance refers to one that does not exist."
    )
    min_storeys: Count | None = Field(
        default=None, title="Least storeys", description="Least instances of IfcBuildingStorey."
    )
    min_bytes: Count | None = Field(default=None, title="Least bytes", description="Of all IFC files together.")
    max_bytes: Count | None = Field(default=None, title="Most bytes", description="Of all IFC files together.")
    application: Text | None = Field(
        default=None,
        title="Exporting application",
        description="How name and version of an application named in each file must begin, as iTwin Exporter 5.",
    )

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> Self:
        for least, most in ((self.min_elements, self.max_elements), (self.min_bytes, self.max_bytes)):
            if least is not None and most is not None and least > most:
                raise ValueError(f"the least ({least}) is more than the most ({most}); no export can be so")
        return self


class MeshRules(RuleTable):
    """Rules for tilesets."""

    min_tiles: Count | None = Field(default=None, title="Least tiles", description="Files with content.")
    max_tile_bytes: Count | None = Field(
        default=None, title="Most bytes of a tile", description="The largest tile may have so many."
    )
    forbid_extensions: tuple[Text, ...] = Field(
        default=(),
        title="Forbidden extensions",
        description="Extensions of 3D Tiles that a viewer must not need, as 3DTILES_draco_point_compression.",
    )


class Rules(BaseModel):
    """All rules for an export, and what follows if it is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_rejected: OnRejected = Field(
        default="fail",
        title="When an export is rejected",
        description="fail: readers keep what they had, the export goes to rejected/ and the run fails; quarantine: the "
        "same, and the run completes with a warning; publish: it is published, and the manifest has the verdict.",
    )
    ids: tuple[IdsEntry, ...] = Field(
        default=(),
        title="IDS documents",
        max_length=MOST_IDS,
        description="Information Delivery Specifications to check IFC files against: paths, names of blobs in your "
        "container, or the text of a document.",
    )
    ifc: IfcRules = Field(default=IfcRules(), title="IFC files", description="Rules for IFC exports.")
    mesh: MeshRules = Field(default=MeshRules(), title="3D Tiles", description="Rules for tilesets.")

    @model_validator(mode="after")
    def _there_is_a_rule(self) -> Self:
        if self.ifc.is_empty and self.mesh.is_empty and not self.ids:
            raise ValueError("there is no rule in it; add one to the table [ifc] or [mesh], or name documents as ids")
        return self

    def tables_with_rules(self) -> list[str]:
        """The tables that hold a rule."""
        return [name for name, table in (("ifc", self.ifc), ("mesh", self.mesh)) if not table.is_empty]


class GivenRules(BaseModel):
    """Rules, where they come from (the path of a file or the name of a block), and the IDS documents that they name."""

    model_config = ConfigDict(frozen=True)

    source: str
    rules: Rules
    documents: tuple[IdsDocument, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of what rules and documents say; what the rules do with a rejected export is part of it."""
        texts = [self.rules.model_dump_json(exclude_defaults=True), *(document.text for document in self.documents)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    @property
    def needs_imodel(self) -> bool:
        """True if IFC files are compared with the place of the iModel."""
        return self.rules.ifc.georeference == "imodel"

    @property
    def missing_documents(self) -> list[str]:
        """Names of documents that have not been read."""
        read = {document.name for document in self.documents}
        return [entry for entry in self.rules.ids if not holds_text(entry) and entry not in read]


def is_inside(box: tuple[float, ...], west: float, south: float, east: float, north: float) -> bool:
    """True if an extent lies in a box; both may cross the 180th meridian."""
    left, bottom, right, top = box[:4]
    width, begins = right - left if right > left else right - left + 360, (west - left) % 360
    if math.isclose(begins, 360):
        begins = 0.0
    is_in_longitude = math.isclose(width, 360) or begins + (east - west) % 360 <= width
    return is_in_longitude and bottom <= south and north <= top


def is_between(box: tuple[float, ...], lowest: float, highest: float) -> bool:
    """True if heights in metres lie in a box; one without heights takes any."""
    return len(box) == 4 or (box[4] <= lowest and highest <= box[5])
