"""Valid IFC with geometry: small buildings, the same every time for one iModel and changeset."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ifcopenshell
import ifcopenshell.guid

from deployments.sandbox.content.mapping import Mapping
from deployments.sandbox.ids import guid

SCHEMAS = {"IFC4.3": "IFC4X3_ADD2", "IFC2x3": "IFC2X3", "IFC2x3 CV 2.0": "IFC2X3", "IFC4 RV 1.2": "IFC4"}
_UNMAPPED = "IfcBuildingElementProxy"
_VIEWS = {
    "IFC2x3": "CoordinationView",
    "IFC2x3 CV 2.0": "CoordinationView_V2.0",
    "IFC4 RV 1.2": "ReferenceView_V1.2",
    "IFC4.3": "ReferenceView",
}
EC_SCHEMA = "SandboxDynamic"
DEFAULT_MAPPING = Mapping(
    {
        (EC_SCHEMA, "Wall"): "IfcWall",
        (EC_SCHEMA, "Slab"): "IfcSlab",
        (EC_SCHEMA, "Equipment"): _UNMAPPED,
    },
    {},
)
_PER_STOREY = 40
_STOREY_HEIGHT = 3.5
_WRITTEN_AT = "2026-01-01T00:00:00"
_CREATED_AT = 1767225600
_lock = threading.Lock()

Make = Callable[..., Any]


@dataclass(frozen=True)
class IfcSubject:
    """What a file is made for: the iModel, its changeset and the IFC version."""

    name: str
    imodel_id: str
    changeset: str
    version: str
    mapping: Mapping | None = None
    """None is the default mapping, which has a row for each class of the elements."""


def build_ifc(subject: IfcSubject, elements: int) -> bytes:
    """The exported file; the same arguments give the same bytes."""
    with _lock:
        return _Building(subject).build(elements)


class _Building:
    """Builds one file."""

    def __init__(self, subject: IfcSubject) -> None:
        make_file: Any = ifcopenshell.file
        file: Any = make_file(schema=SCHEMAS[subject.version])
        self._file = file
        self._make: Make = file.create_entity
        self._subject, self._name = subject, subject.name
        self._mapping = DEFAULT_MAPPING if subject.mapping is None else subject.mapping
        self._schema: Any = ifcopenshell.schema_by_name(SCHEMAS[subject.version])
        self._imodel, self._changeset = subject.imodel_id, subject.changeset
        self._origin = self._point(0.0, 0.0, 0.0)
        self._up = self._make("IfcDirection", (0.0, 0.0, 1.0))
        self._owner = self._owner_history()
        self._context = self._make("IfcGeometricRepresentationContext", None, "Model", 3, 1e-5, self._place())

    def build(self, elements: int) -> bytes:
        self._write_header()
        project = self._root("IfcProject", "project", Name=self._name)
        project.RepresentationContexts = [self._context]
        project.UnitsInContext = self._units()
        site = self._spatial("IfcSite", "site", None)
        building = self._spatial("IfcBuilding", "building", site.ObjectPlacement)
        self._aggregate("project", project, [site])
        self._aggregate("site", site, [building])
        self._aggregate("building", building, self._storeys(building, elements))
        return str(self._file.to_string()).encode()

    def _write_header(self) -> None:
        header = self._file.header
        source = f"iModel {self._imodel} at changeset {self._changeset}"
        header.file_description.description = (f"ViewDefinition [{_VIEWS[self._subject.version]}]", source)
        header.file_name.name = f"{self._name}.ifc"
        header.file_name.time_stamp = _WRITTEN_AT
        header.file_name.originating_system = "iTwin sandbox"

    def _storeys(self, building: Any, elements: int) -> list[Any]:
        storeys: list[Any] = []
        for level in range(-(-max(elements, 1) // _PER_STOREY)):
            storey = self._spatial("IfcBuildingStorey", f"storey {level}", building.ObjectPlacement, level)
            numbers = range(level * _PER_STOREY, min((level + 1) * _PER_STOREY, max(elements, 1)))
            parts = [part for number in numbers if (part := self._element(number, storey))]
            if parts:
                self._root(
                    "IfcRelContainedInSpatialStructure",
                    f"content {level}",
                    RelatedElements=parts,
                    RelatingStructure=storey,
                )
            storeys.append(storey)
        return storeys

    def _element(self, number: int, storey: Any) -> Any:
        """Every tenth element changes with each changeset, the others stay; none if its IFC class does not exist."""
        seed = self._changeset if number % 10 == 0 else ""
        dice = random.Random(f"{self._imodel}/{number}/{seed}")
        ec_class, size = (
            ("Wall", (round(dice.uniform(2, 6), 3), 0.2, 3.0)),
            ("Slab", (round(dice.uniform(3, 6), 3), round(dice.uniform(3, 6), 3), 0.25)),
            ("Equipment", (0.5, 0.5, round(dice.uniform(0.5, 2.5), 3))),
        )[number % 3]
        kind = self._mapping.classes.get((EC_SCHEMA, ec_class), _UNMAPPED)
        if not self._is_element(kind):
            return None
        spot = (round(dice.uniform(0, 40), 3), round(dice.uniform(0, 25), 3), 0.0)
        element = self._root(kind, f"element {number}", Name=f"{kind[3:]} {number}")
        element.ObjectPlacement = self._make("IfcLocalPlacement", storey.ObjectPlacement, self._place(*spot))
        element.Representation = self._box(*size)
        self._properties(element, number, size, ec_class)
        return element

    def _is_element(self, name: str) -> bool:
        """False for an IFC class that the schema does not have, and for one that is no element."""
        try:
            found = self._schema.declaration_by_name(name).as_entity()
        except RuntimeError:
            return False
        return bool(found and not found.is_abstract() and found._is("IfcElement"))  # noqa: SLF001  its public name

    def _box(self, length: float, width: float, height: float) -> Any:
        flat = self._make("IfcAxis2Placement2D", self._make("IfcCartesianPoint", (0.0, 0.0)))
        profile = self._make("IfcRectangleProfileDef", "AREA", None, flat, length, width)
        solid = self._make("IfcExtrudedAreaSolid", profile, self._place(), self._up, height)
        shape = self._make("IfcShapeRepresentation", self._context, "Body", "SweptSolid", [solid])
        return self._make("IfcProductDefinitionShape", None, None, [shape])

    def _properties(self, element: Any, number: int, size: tuple[float, float, float], ec_class: str) -> None:
        values = {
            "Number": self._make("IfcInteger", number),
            "Changeset": self._make("IfcLabel", self._changeset),
            "Volume": self._make("IfcVolumeMeasure", round(size[0] * size[1] * size[2], 3)),
        }
        groups: dict[str, list[Any]] = {}
        for key, value in values.items():
            group, name = self._mapping.properties.get((EC_SCHEMA, ec_class, key), ("Sandbox", key))
            groups.setdefault(group, []).append(self._make("IfcPropertySingleValue", name, None, value))
        for group, singles in groups.items():
            self._property_set(element, group, number, singles)

    def _property_set(self, element: Any, name: str, number: int, singles: list[Any]) -> None:
        key = f"{number}" if name == "Sandbox" else f"{number} {name}"
        group = self._root("IfcPropertySet", f"properties {key}", Name=name, HasProperties=singles)
        self._root(
            "IfcRelDefinesByProperties",
            f"defines {key}",
            RelatedObjects=[element],
            RelatingPropertyDefinition=group,
        )

    def _spatial(self, kind: str, key: str, parent: Any, level: int = 0) -> Any:
        place = self._make("IfcLocalPlacement", parent, self._place(0.0, 0.0, level * _STOREY_HEIGHT))
        return self._root(kind, key, Name=key.title(), ObjectPlacement=place, CompositionType="ELEMENT")

    def _aggregate(self, key: str, whole: Any, parts: list[Any]) -> None:
        self._root("IfcRelAggregates", f"parts of {key}", RelatingObject=whole, RelatedObjects=parts)

    def _root(self, kind: str, key: str, **attributes: Any) -> Any:
        code: Any = ifcopenshell.guid
        identity = code.compress(guid(self._imodel, key).replace("-", ""))
        return self._make(kind, GlobalId=identity, OwnerHistory=self._owner, **attributes)

    def _owner_history(self) -> Any:
        person = self._make("IfcPerson", FamilyName="Sandbox")
        organization = self._make("IfcOrganization", Name="Sandbox")
        both = self._make("IfcPersonAndOrganization", person, organization)
        program = self._make("IfcApplication", organization, "1", "iTwin sandbox", "sandbox")
        # Rule CorrectChangeAction (IFC4 and later): ADDED needs a date of modification.
        return self._make("IfcOwnerHistory", both, program, None, "ADDED", _CREATED_AT, None, None, _CREATED_AT)

    def _units(self) -> Any:
        kinds = (("LENGTHUNIT", "METRE"), ("AREAUNIT", "SQUARE_METRE"), ("VOLUMEUNIT", "CUBIC_METRE"))
        units = [self._make("IfcSIUnit", UnitType=kind, Name=name) for kind, name in kinds]
        return self._make("IfcUnitAssignment", units)

    def _place(self, *spot: float) -> Any:
        location = self._point(*spot) if spot else self._origin
        return self._make("IfcAxis2Placement3D", location)

    def _point(self, *spot: float) -> Any:
        return self._make("IfcCartesianPoint", spot)
