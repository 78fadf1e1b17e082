import json
from typing import Any

import ifcopenshell
import ifcopenshell.geom
import ifcopenshell.validate
import pytest

from deployments.sandbox.content.ifc import SCHEMAS, IfcSubject, build_ifc
from deployments.sandbox.ids import guid

PLANT = IfcSubject("Plant A", guid("plant"), "a" * 40, "IFC4.3")


def opened(subject: IfcSubject, elements: int = 12) -> Any:
    return ifcopenshell.file.from_string(build_ifc(subject, elements).decode())


def of_version(version: str) -> IfcSubject:
    return IfcSubject(PLANT.name, PLANT.imodel_id, PLANT.changeset, version)


@pytest.mark.filterwarnings("ignore:unclosed file.*ifcopenshell.express.rules:ResourceWarning")
@pytest.mark.parametrize("version", list(SCHEMAS))
def test_file_is_valid(version: str) -> None:
    """Each IFC version names its schema in the header and breaks no rule of it, express WHERE rules included."""
    logger: Any = ifcopenshell.validate.json_logger()
    file = opened(of_version(version))
    ifcopenshell.validate.validate(file, logger, express_rules=True)
    assert json.dumps(logger.statements, default=str) == "[]"
    assert file.schema_identifier == SCHEMAS[version]


@pytest.mark.parametrize("version", list(SCHEMAS))
def test_elements_have_geometry(version: str) -> None:
    """Every wall, slab and proxy triangulates to a closed box."""
    file = opened(of_version(version))
    geom: Any = ifcopenshell.geom
    settings = geom.settings()
    elements = [part for relation in file.by_type("IfcRelContainedInSpatialStructure") for part in relation[4]]
    assert len(elements) == 12
    assert {len(geom.create_shape(settings, element).geometry.faces) // 3 for element in elements} == {12}


def test_header_names_imodel_and_changeset() -> None:
    """A person who opens the file in an editor sees where it comes from."""
    head = build_ifc(PLANT, 1).decode().partition("ENDSEC;")[0]
    assert PLANT.imodel_id in head
    assert PLANT.changeset in head


def test_same_subject_gives_the_same_bytes() -> None:
    """Nothing in the file depends on when it was made."""
    assert build_ifc(PLANT, 30) == build_ifc(PLANT, 30)


def test_content_differs_by_imodel_changeset_and_version() -> None:
    """No two subjects share a file."""
    others = [
        IfcSubject(PLANT.name, guid("other"), PLANT.changeset, PLANT.version),
        IfcSubject(PLANT.name, PLANT.imodel_id, "b" * 40, PLANT.version),
        of_version("IFC2x3"),
        of_version("IFC2x3 CV 2.0"),
    ]
    assert len({build_ifc(subject, 12) for subject in [PLANT, *others]}) == 5


def test_changeset_moves_only_some_elements() -> None:
    """Most of a building survives a change: element ids stay, one element in ten is another shape."""
    before, after = opened(PLANT, 30), opened(IfcSubject(PLANT.name, PLANT.imodel_id, "b" * 40, "IFC4.3"), 30)
    ids = [{element.GlobalId for element in file.by_type("IfcElement")} for file in (before, after)]
    assert ids[0] == ids[1]
    depths = [[solid.Depth for solid in file.by_type("IfcExtrudedAreaSolid")] for file in (before, after)]
    assert sum(a != b for a, b in zip(*depths, strict=True)) <= 3


def test_size_follows_the_element_count() -> None:
    """More elements, more storeys, more bytes."""
    assert len(opened(PLANT, 200).by_type("IfcBuildingStorey")) == 5
    assert len(build_ifc(PLANT, 400)) > 8 * len(build_ifc(PLANT, 40))
